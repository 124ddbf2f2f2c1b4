#include "toolcall/search/checks.h"

#include <ctype.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define KEPT_MAX 40

/* Letters, capital, and digits of a text, without what stands between them. */
struct kept {
	char text[KEPT_MAX + 1];
	size_t length;
	bool digits; /* nothing else */
};

static bool keep(const char *text, size_t length, struct kept *ret)
{
	*ret = (struct kept){.digits = true};
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];

		if (!isalnum(c))
			continue;
		if (ret->length == KEPT_MAX)
			return false;
		ret->digits = ret->digits && isdigit(c);
		ret->text[ret->length++] = (char)toupper(c);
	}
	return ret->length > 0;
}

static int value_of(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : c - 'A' + 10;
}

/* The digits as a number, modulo. */
static unsigned int remainder_of(const char *text, size_t length,
				 unsigned int modulus)
{
	unsigned int left = 0;

	for (size_t i = 0; i < length; i++) {
		int value = value_of(text[i]);

		left = (left * (value > 9 ? 100 : 10) + (unsigned int)value) %
		       modulus;
	}
	return left;
}

static unsigned int weighted(const struct kept *kept, const int *weights,
			     size_t count)
{
	unsigned int sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += (unsigned int)(weights[i] * value_of(kept->text[i]));
	return sum;
}

static bool luhn(const char *text, size_t length)
{
	unsigned int sum = 0;
	bool same = true;

	for (size_t i = 0; i < length; i++) {
		unsigned int digit =
			(unsigned int)value_of(text[length - 1 - i]);

		same = same && text[i] == text[0];
		if (i % 2)
			digit = digit > 4 ? 2 * digit - 9 : 2 * digit;
		sum += digit;
	}
	return sum % 10 == 0 && !same;
}

static bool iban(const struct kept *kept)
{
	/* Country and length, of the register of SWIFT. */
	static const char lengths[] =
		"AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28"
		"CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18FO18FR27GB22GE22GI23"
		"GL18GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32"
		"LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18"
		"NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19"
		"SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30";
	char turned[KEPT_MAX + 1];

	for (const char *at = lengths; *at; at += 4) {
		if (at[0] != kept->text[0] || at[1] != kept->text[1])
			continue;
		if ((size_t)((at[2] - '0') * 10 + at[3] - '0') != kept->length)
			return false;
		memcpy(turned, kept->text + 4, kept->length - 4);
		memcpy(turned + kept->length - 4, kept->text, 4);
		return remainder_of(turned, kept->length, 97) == 1;
	}
	return false;
}

static bool bsn(const struct kept *kept)
{
	static const int weights[] = {9, 8, 7, 6, 5, 4, 3, 2, -1};

	return kept->length == 9 && weighted(kept, weights, 9) % 11 == 0 &&
	       strspn(kept->text, "0") < 9;
}

static bool nir(const struct kept *kept)
{
	return kept->length == 15 &&
	       97 - remainder_of(kept->text, 13, 97) ==
		       remainder_of(kept->text + 13, 2, 100);
}

static bool dni(const struct kept *kept)
{
	static const char letters[] = "TRWAGMYFPDXBNJZSQVHLCKE";
	char number[16];
	size_t length = kept->length - 1;

	if (kept->length != 9)
		return false;
	memcpy(number, kept->text, length);
	if (number[0] >= 'X' && number[0] <= 'Z')
		number[0] = (char)(number[0] - 'X' + '0');
	return letters[remainder_of(number, length, 23)] == kept->text[length];
}

static bool codice_fiscale(const struct kept *kept)
{
	static const int odd[36] = {
		1,  0, 5, 7,  9,  13, 15, 17, 19, 21, 1,  0,
		5,  7, 9, 13, 15, 17, 19, 21, 2,  4,  18, 20,
		11, 3, 6, 8,  12, 14, 16, 10, 22, 25, 24, 23,
	};
	int sum = 0;

	if (kept->length != 16)
		return false;
	for (int i = 0; i < 15; i++) {
		int value = value_of(kept->text[i]);

		sum += i % 2 == 0 ? odd[value] : value > 9 ? value - 10 : value;
	}
	return kept->text[15] == 'A' + sum % 26;
}

static bool steuer_id(const struct kept *kept)
{
	int product = 10;

	if (kept->length != 11 || kept->text[0] == '0')
		return false;
	for (int i = 0; i < 10; i++) {
		int sum = (value_of(kept->text[i]) + product) % 10;

		product = (sum ? sum : 10) * 2 % 11;
	}
	return (11 - product) % 10 == value_of(kept->text[10]);
}

static bool pesel(const struct kept *kept)
{
	static const int weights[] = {1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1};

	return kept->length == 11 && weighted(kept, weights, 11) % 10 == 0;
}

static bool personnummer(const struct kept *kept)
{
	size_t skip = kept->length == 12 ? 2 : 0;

	return (kept->length == 10 || skip) && luhn(kept->text + skip, 10);
}

static bool hetu(const char *text, size_t length)
{
	static const char signs[] = "0123456789ABCDEFHJKLMNPRSTUVWXY";
	char digits[9];

	if (length != 11)
		return false;
	memcpy(digits, text, 6);
	memcpy(digits + 6, text + 7, 3);
	return signs[remainder_of(digits, 9, 31)] == text[10];
}

static bool ahv(const struct kept *kept)
{
	static const int weights[] = {1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1};

	return kept->length == 13 && weighted(kept, weights, 13) % 10 == 0;
}

/* Who was born from 2000 on has a 2 before it all. */
static bool nrn(const struct kept *kept)
{
	char later[10] = "2";
	unsigned int wanted;

	if (kept->length != 11)
		return false;
	memcpy(later + 1, kept->text, 9);
	wanted = remainder_of(kept->text + 9, 2, 100);
	return 97 - remainder_of(kept->text, 9, 97) == wanted ||
	       97 - remainder_of(later, 10, 97) == wanted;
}

static bool cpf(const struct kept *kept)
{
	static const int first[] = {10, 9, 8, 7, 6, 5, 4, 3, 2};
	static const int second[] = {11, 10, 9, 8, 7, 6, 5, 4, 3, 2};

	return kept->length == 11 &&
	       strspn(kept->text, (char[]){kept->text[0], 0}) < 11 &&
	       weighted(kept, first, 9) * 10 % 11 % 10 ==
		       (unsigned int)value_of(kept->text[9]) &&
	       weighted(kept, second, 10) * 10 % 11 % 10 ==
		       (unsigned int)value_of(kept->text[10]);
}

static bool resident_id(const struct kept *kept)
{
	static const int weights[] = {7, 9, 10, 5,  8, 4, 2, 1, 6,
				      3, 7, 9,	10, 5, 8, 4, 2};

	return kept->length == 18 &&
	       "10X98765432"[weighted(kept, weights, 17) % 11] ==
		       kept->text[17];
}

static bool verhoeff(const struct kept *kept)
{
	/* The dihedral group of ten, and the permutation's powers. */
	static const char product[10][11] = {
		"0123456789", "1234067895", "2340178956", "3401289567",
		"4012395678", "5987604321", "6598710432", "7659821043",
		"8765932104", "9876543210",
	};
	static const char power[8][11] = {
		"0123456789", "1576283094", "5803796142", "8916043527",
		"9453126870", "4286573901", "2793806415", "7046913258",
	};
	int sum = 0;

	for (size_t i = 0; i < kept->length; i++) {
		int digit = value_of(kept->text[kept->length - 1 - i]);

		sum = product[sum][power[i % 8][digit] - '0'] - '0';
	}
	return sum == 0;
}

/* E.164: at most fifteen digits; and few numbers are all alike. */
static bool phone(const struct kept *kept)
{
	unsigned int seen = 0;

	for (size_t i = 0; i < kept->length; i++)
		seen |= 1u << value_of(kept->text[i]);
	return kept->length >= 9 && kept->length <= 15 &&
	       __builtin_popcount(seen) >= 4;
}

bool check_holds(enum check check, const char *text, size_t length)
{
	struct kept kept;

	if (check == CHECK_NONE)
		return true;
	if (!keep(text, length, &kept))
		return false;
	switch (check) {
	case CHECK_NONE:
		return true;
	case CHECK_LUHN:
		return kept.digits && luhn(kept.text, kept.length);
	case CHECK_IBAN:
		return iban(&kept);
	case CHECK_BSN:
		return kept.digits && bsn(&kept);
	case CHECK_NIR:
		return kept.digits && nir(&kept);
	case CHECK_DNI:
		return dni(&kept);
	case CHECK_CODICE_FISCALE:
		return codice_fiscale(&kept);
	case CHECK_STEUER_ID:
		return kept.digits && steuer_id(&kept);
	case CHECK_PESEL:
		return kept.digits && pesel(&kept);
	case CHECK_PERSONNUMMER:
		return kept.digits && personnummer(&kept);
	case CHECK_HETU:
		return hetu(text, length);
	case CHECK_AHV:
		return kept.digits && ahv(&kept);
	case CHECK_NRN:
		return kept.digits && nrn(&kept);
	case CHECK_CPF:
		return kept.digits && cpf(&kept);
	case CHECK_RESIDENT_ID:
		return resident_id(&kept);
	case CHECK_VERHOEFF:
		return kept.digits && verhoeff(&kept);
	case CHECK_PHONE:
		return kept.digits && phone(&kept);
	}
	return false;
}

double check_entropy(const char *text, size_t length)
{
	unsigned int counts[256] = {0};
	double bits = 0;

	for (size_t i = 0; i < length; i++)
		counts[(unsigned char)text[i]]++;
	for (int i = 0; i < 256; i++)
		if (counts[i]) {
			double share = (double)counts[i] / (double)length;

			bits -= share * log2(share);
		}
	return bits;
}

static int class_of(char c)
{
	unsigned char byte = (unsigned char)c;

	return isdigit(byte) ? 0 : islower(byte) ? 1 : isupper(byte) ? 2 : 3;
}

/*
 * Random text of letters and digits changes its class at nearly every second
 * byte, even when a capital before a small letter, as in names, does not
 * count; words and names rarely do.
 */
bool check_is_random(const char *text, size_t length)
{
	size_t changes = 0, others = 0;

	for (size_t i = 0; i < length; i++) {
		int here = class_of(text[i]);
		int before = i ? class_of(text[i - 1]) : here;

		others += here == 3;
		changes += here != before && here != 3 && before != 3 &&
			   !(before == 2 && here == 1);
	}
	return changes * 5 >= length && others * 6 <= length;
}

static bool holds(const char *text, size_t length, const char *word)
{
	size_t size = strlen(word);

	for (size_t i = 0; i + size <= length; i++)
		if (!strncasecmp(text + i, word, size))
			return true;
	return false;
}

bool check_is_placeholder(const char *text, size_t length)
{
	static const char *const words[] = {
		"example", "xxxx",     "placeholder", "changeme", "change_me",
		"your",	   "redacted", "dummy",	      "sample",	  "12345",
		"abcde",   "fake",     "secret",      "password", "passwd",
		"token",   "****",     "....",	      "insert",	  "<",
		"${",	   "{{",       "$(",	      "%s",	  "/usr/",
		"0000",	   "aaaa",     "test",	      "qwerty",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (holds(text, length, words[i]))
			return true;
	return text[0] == '/' || text[0] == '$' || text[0] == '%';
}
