#pragma once

/* What each fuzz target implements, for libFuzzer and for replay.c. */

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
