#pragma once

/*
 * checks - what a number must fulfil to be what it looks like
 *
 * Most runs of digits are not a card's number.  Each check takes the text as
 * found, with its spaces and dashes, and knows lengths, dates and check digits
 * of its kind.  Sources: ISO/IEC 7812 (Luhn), ISO 13616 (IBAN), and for
 * national numbers the issuers' own descriptions.
 */

#include <stdbool.h>
#include <stddef.h>

enum check {
	CHECK_NONE,
	CHECK_LUHN,
	CHECK_IBAN,
	CHECK_BSN,
	CHECK_NIR,
	CHECK_DNI,
	CHECK_CODICE_FISCALE,
	CHECK_STEUER_ID,
	CHECK_PESEL,
	CHECK_PERSONNUMMER,
	CHECK_HETU,
	CHECK_AHV,
	CHECK_NRN,
	CHECK_CPF,
	CHECK_RESIDENT_ID,
	CHECK_VERHOEFF,
	CHECK_PHONE,
};

bool check_holds(enum check check, const char *text, size_t length);

/* Shannon's entropy of the bytes, in bits for each of them. */
double check_entropy(const char *text, size_t length);

/*
 * Does it change between small and capital letters, digits and the rest as
 * often as random text does?
 */
bool check_is_random(const char *text, size_t length);

/* Is it a stand-in: xxxx, example, changeme, a path, a variable? */
bool check_is_placeholder(const char *text, size_t length);
