#include "nfqueue/names/client_host.h"

#include <string.h>
#include <strings.h>

#define HELLO_MAX  (24 * 1024) /* post-quantum shares make it large */
#define METHOD_MAX 24
#define HEAD_MAX   (24 * 1024) /* request line and headers */

enum {
	RECORD_HANDSHAKE = 22,
	RECORD_HEADER = 5,
	RECORD_BYTES_MAX = 16384,
	HANDSHAKE_HEADER = 4,
	HANDSHAKE_CLIENT_HELLO = 1,
	EXTENSION_SERVER_NAME = 0,
	NAME_TYPE_HOST = 0,
};

/* Bytes that have yet to be read. */
struct rest {
	const uint8_t *at;
	size_t left;
};

static bool take(struct rest *rest, size_t length, struct rest *ret)
{
	if (rest->left < length)
		return false;
	*ret = (struct rest){rest->at, length};
	rest->at += length;
	rest->left -= length;
	return true;
}

static bool take_number(struct rest *rest, size_t bytes, size_t *ret)
{
	struct rest number;

	if (!take(rest, bytes, &number))
		return false;
	for (*ret = 0; bytes; bytes--)
		*ret = *ret << 8 | *number.at++;
	return true;
}

/* What is preceded by its own length of so many bytes. */
static bool take_vector(struct rest *rest, size_t length_bytes,
			struct rest *ret)
{
	size_t length;

	return take_number(rest, length_bytes, &length) &&
	       take(rest, length, ret);
}

static enum policy_said take_name(struct rest names,
				  char ret[static HOST_NAME_SIZE])
{
	struct rest list, name;
	size_t type;

	/* Exactly one name: of two, servers may take either. */
	if (!take_vector(&names, 2, &list) || names.left ||
	    !take_number(&list, 1, &type) || type != NAME_TYPE_HOST ||
	    !take_vector(&list, 2, &name) || list.left)
		return POLICY_SAID_GARBLED;
	if (host_name_read((const char *)name.at, name.left, ret))
		ret[0] = '\0';
	return POLICY_SAID_NAME;
}

static enum policy_said read_hello(struct rest hello,
				   char ret[static HOST_NAME_SIZE])
{
	enum policy_said said = POLICY_SAID_NOTHING;
	struct rest part, extensions;

	if (!take(&hello, 2 + 32, &part) ||   /* version, random */
	    !take_vector(&hello, 1, &part) || /* session */
	    !take_vector(&hello, 2, &part) || /* ciphers */
	    !take_vector(&hello, 1, &part))   /* compressions */
		return POLICY_SAID_GARBLED;
	if (!hello.left)
		return POLICY_SAID_NOTHING; /* as before extensions were */
	if (!take_vector(&hello, 2, &extensions) || hello.left)
		return POLICY_SAID_GARBLED;
	while (extensions.left) {
		size_t type;

		if (!take_number(&extensions, 2, &type) ||
		    !take_vector(&extensions, 2, &part))
			return POLICY_SAID_GARBLED;
		if (type != EXTENSION_SERVER_NAME)
			continue;
		if (said != POLICY_SAID_NOTHING)
			return POLICY_SAID_GARBLED;
		said = take_name(part, ret);
		if (said != POLICY_SAID_NAME)
			return said;
	}
	return said;
}

/* Put the handshake together from its records, and read it once complete. */
static enum policy_said read_tls(struct rest records,
				 char ret[static HOST_NAME_SIZE])
{
	uint8_t hello[HELLO_MAX];
	size_t have = 0, want = HANDSHAKE_HEADER;

	while (have < want) {
		struct rest header, fragment = {NULL, 0};
		size_t length, room;

		if (records.left && *records.at != RECORD_HANDSHAKE)
			return POLICY_SAID_GARBLED;
		if (!take(&records, RECORD_HEADER, &header))
			return POLICY_SAID_UNSEEN;
		length = (size_t)header.at[3] << 8 | header.at[4];
		if (header.at[1] != 3 || !length || length > RECORD_BYTES_MAX)
			return POLICY_SAID_GARBLED;
		room = records.left < length ? records.left : length;
		take(&records, room, &fragment);
		if (room > sizeof(hello) - have)
			return POLICY_SAID_GARBLED;
		memcpy(hello + have, fragment.at, room);
		have += room;
		if (have >= HANDSHAKE_HEADER) {
			if (hello[0] != HANDSHAKE_CLIENT_HELLO)
				return POLICY_SAID_GARBLED;
			want = HANDSHAKE_HEADER + ((size_t)hello[1] << 16 |
						   (size_t)hello[2] << 8 |
						   hello[3]);
			if (want > sizeof(hello))
				return POLICY_SAID_GARBLED;
		}
		if (room < length && have < want)
			return POLICY_SAID_UNSEEN;
	}
	return read_hello((struct rest){hello + HANDSHAKE_HEADER,
					want - HANDSHAKE_HEADER},
			  ret);
}

/* One line without its end.  False: it is not complete. */
static bool take_line(struct rest *rest, struct rest *ret)
{
	const uint8_t *end = memchr(rest->at, '\n', rest->left);
	size_t length;

	if (!end)
		return false;
	length = (size_t)(end - rest->at);
	take(rest, length + 1, ret);
	ret->left = length;
	if (length && ret->at[length - 1] == '\r')
		ret->left--;
	return true;
}

static bool is_clean(const struct rest *line)
{
	for (size_t i = 0; i < line->left; i++)
		if (line->at[i] == '\0' || line->at[i] == '\r')
			return false;
	return true;
}

/* The host of "HOST[:PORT]"; "" for what is no name. */
static void read_authority(struct rest text, char ret[static HOST_NAME_SIZE])
{
	const uint8_t *colon = memrchr(text.at, ':', text.left);
	size_t length = colon ? (size_t)(colon - text.at) : text.left;

	/*
	 * If what follows the colon is no port, a server may read it as part of
	 * the host: then it is no name.
	 */
	for (size_t i = length + 1; i < text.left; i++)
		if (text.at[i] < '0' || text.at[i] > '9')
			length = 0;
	if (host_name_read((const char *)text.at, length, ret))
		ret[0] = '\0';
}

static struct rest trim(struct rest text)
{
	while (text.left && strchr(" \t", *text.at))
		text = (struct rest){text.at + 1, text.left - 1};
	while (text.left && strchr(" \t", text.at[text.left - 1]))
		text.left--;
	return text;
}

/* The Host of a header line; GARBLED for what nobody should send. */
static enum policy_said read_header(struct rest line,
				    char ret[static HOST_NAME_SIZE])
{
	const uint8_t *colon = memchr(line.at, ':', line.left);
	struct rest name, value;

	if (!is_clean(&line) || !colon || strchr(" \t", *line.at))
		return POLICY_SAID_GARBLED;
	name = (struct rest){line.at, (size_t)(colon - line.at)};
	if (!name.left || strchr(" \t", colon[-1]))
		return POLICY_SAID_GARBLED;
	if (name.left != 4 || strncasecmp((const char *)name.at, "host", 4))
		return POLICY_SAID_OTHER;
	value = trim((struct rest){colon + 1, line.left - name.left - 1});
	if (!value.left)
		return POLICY_SAID_NOTHING;
	read_authority(value, ret);
	return POLICY_SAID_NAME;
}

/* "METHOD TARGET HTTP/1.x": a target that names a host must name the same. */
static enum policy_said read_request(struct rest line,
				     char ret[static HOST_NAME_SIZE])
{
	const uint8_t *first = memchr(line.at, ' ', line.left);
	const uint8_t *last = memrchr(line.at, ' ', line.left);
	struct rest target, authority;
	const uint8_t *end;

	if (!first || first == last || line.at + line.left - last != 9 ||
	    strncmp((const char *)last + 1, "HTTP/1.", 7))
		return POLICY_SAID_OTHER;
	target = (struct rest){first + 1, (size_t)(last - first - 1)};
	if (!is_clean(&line) || memchr(target.at, ' ', target.left))
		return POLICY_SAID_GARBLED;
	if (!target.left || *target.at == '/' || *target.at == '*')
		return POLICY_SAID_NOTHING;
	authority = target;
	end = memmem(target.at, target.left, "://", 3);
	if (end)
		authority = (struct rest){
			end + 3, target.left - (size_t)(end + 3 - target.at)};
	end = memchr(authority.at, '/', authority.left);
	if (end)
		authority.left = (size_t)(end - authority.at);
	read_authority(authority, ret);
	return POLICY_SAID_NAME;
}

/* All headers, since a second Host would make the first worth nothing. */
static enum policy_said read_headers(struct rest lines,
				     char ret[static HOST_NAME_SIZE])
{
	enum policy_said found = POLICY_SAID_NOTHING;
	struct rest line;

	while (take_line(&lines, &line)) {
		enum policy_said said;

		if (!line.left)
			return found;
		said = read_header(line, ret);
		if (said == POLICY_SAID_OTHER)
			continue;
		if (said == POLICY_SAID_GARBLED || found == POLICY_SAID_NAME)
			return POLICY_SAID_GARBLED;
		found = said;
	}
	return POLICY_SAID_UNSEEN;
}

static enum policy_said read_http(struct rest lines,
				  char ret[static HOST_NAME_SIZE])
{
	char target[HOST_NAME_SIZE];
	enum policy_said of_target, said;
	struct rest line;

	if (!take_line(&lines, &line))
		return POLICY_SAID_UNSEEN;
	of_target = read_request(line, target);
	if (of_target == POLICY_SAID_OTHER || of_target == POLICY_SAID_GARBLED)
		return of_target;
	said = read_headers(lines, ret);
	if (said == POLICY_SAID_NAME && of_target == POLICY_SAID_NAME &&
	    strcmp(ret, target))
		return POLICY_SAID_GARBLED;
	return said;
}

/* Could the first line become a request, as far as it is there? */
static bool begins_as_request(struct rest bytes)
{
	size_t method = 0;

	while (method < bytes.left && bytes.at[method] != ' ' &&
	       bytes.at[method] != '\n')
		method++;
	if (method > METHOD_MAX)
		return false;
	for (size_t i = 0; i < bytes.left && bytes.at[i] != '\n'; i++)
		if (bytes.at[i] >= 0x7f ||
		    (bytes.at[i] < ' ' && !strchr("\t\r", bytes.at[i])))
			return false;
	return true;
}

enum policy_said client_host_read(const uint8_t *bytes, size_t length,
				  char ret[static HOST_NAME_SIZE])
{
	struct rest all = {bytes, length};
	enum policy_said said;

	ret[0] = '\0';
	if (length && bytes[0] == RECORD_HANDSHAKE) {
		if (length > 1 && bytes[1] != 3)
			return POLICY_SAID_OTHER;
		return length > 1 ? read_tls(all, ret) : POLICY_SAID_UNSEEN;
	}
	/* Servers pass over empty lines before a request. */
	while (all.left && (*all.at == '\r' || *all.at == '\n'))
		all = (struct rest){all.at + 1, all.left - 1};
	if (!all.left)
		return POLICY_SAID_UNSEEN;
	if (!begins_as_request(all))
		return POLICY_SAID_OTHER;
	said = read_http(all, ret);
	return said == POLICY_SAID_UNSEEN && length > HEAD_MAX
		       ? POLICY_SAID_GARBLED
		       : said;
}

bool client_host_is_demanded(uint16_t port)
{
	static const uint16_t ports[] = {80, 443, 853, 8080, 8443};

	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
		if (ports[i] == port)
			return true;
	return false;
}
