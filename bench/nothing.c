/* nothing - a static program that ends at once: the least an exec can be */

int main(void)
{
	return 0;
}
