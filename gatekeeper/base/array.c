#include "gatekeeper/base/array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int array_add(struct array *array, const void *entry, size_t size,
	      uint32_t *ret)
{
	if (array->count == array->room) {
		uint32_t room = array->room ? array->room * 2 : 64;
		void *grown = array->room > UINT32_MAX / 4
				      ? NULL
				      : realloc(array->entries, room * size);

		if (!grown)
			return -ENOMEM;
		array->entries = grown;
		array->room = room;
	}
	memcpy((char *)array->entries + array->count * size, entry, size);
	if (ret)
		*ret = array->count;
	array->count++;
	return 0;
}

int array_zeroed(struct array *array, uint32_t count, size_t size)
{
	array->entries = calloc(count, size);
	if (!array->entries)
		return -ENOMEM;
	array->count = array->room = count;
	return 0;
}
