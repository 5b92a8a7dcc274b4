/* See json.h. Recursive descent; a value that is half read is freed where reading it failed. */
#include "json.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 64 };

struct reader {
    const unsigned char *at, *end;
    int depth;
    const char *why;
};

static struct json *read_value(struct reader *reader);

static void *refuse(struct reader *reader, const char *why) {
    reader->why = reader->why == NULL ? why : reader->why;
    return NULL;
}

static void skip_blanks(struct reader *reader) {
    while (reader->at < reader->end && strchr(" \t\r\n", *reader->at) != NULL && *reader->at != '\0') {
        reader->at++;
    }
}

static bool take(struct reader *reader, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, word, length) != 0) {
        return false;
    }
    reader->at += length;
    return true;
}

const unsigned char *json_next_character(const unsigned char *at, const unsigned char *end) {
    static const uint32_t LEAST[] = {0, 0, 0x80, 0x800, 0x10000};
    if (at >= end) {
        return NULL;
    }
    size_t length = *at < 0x80 ? 1 : *at >> 5 == 6 ? 2 : *at >> 4 == 14 ? 3 : *at >> 3 == 30 ? 4 : 0;
    if (length == 0 || (size_t)(end - at) < length) {
        return NULL;
    }
    uint32_t code = length == 1 ? *at : *at & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if (at[i] >> 6 != 2) {
            return NULL;
        }
        code = code << 6 | (at[i] & 0x3fu);
    }
    bool valid = code >= LEAST[length] && code <= 0x10ffff && !(code >= 0xd800 && code < 0xe000);
    return valid ? at + length : NULL;
}

static bool read_hex(struct reader *reader, uint32_t *code) {
    *code = 0;
    for (int i = 0; i < 4; i++, reader->at++) {
        bool more = reader->at < reader->end && *reader->at != '\0';
        const char *digits = "0123456789abcdef", *found = more ? strchr(digits, *reader->at | 0x20) : NULL;
        if (found == NULL || (*reader->at < 'A' && *reader->at > '9') || *reader->at < '0') {
            return false;
        }
        *code = *code << 4 | (uint32_t)(found - digits);
    }
    return true;
}

static size_t write_utf8(uint32_t code, char *into) {
    size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char HEADS[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = length - 1; i > 0; i--, code >>= 6) {
        into[i] = (char)(0x80 | (code & 0x3f));
    }
    into[0] = (char)(HEADS[length] | code);
    return length;
}

/* Read what follows a backslash; 0 where it is no escape. It never writes more bytes than it reads. */
static size_t read_escape(struct reader *reader, char *into) {
    static const char NAMES[] = "\"\\/bfnrt", MEANT[] = "\"\\/\b\f\n\r\t";
    const char *found = reader->at < reader->end && *reader->at != '\0' ? strchr(NAMES, *reader->at) : NULL;
    if (found != NULL) {
        reader->at++;
        *into = MEANT[found - NAMES];
        return 1;
    }
    uint32_t code, low;
    if (!take(reader, "u") || !read_hex(reader, &code) || (code >= 0xdc00 && code < 0xe000)) {
        return 0;
    }
    if (code >= 0xd800 && code < 0xdc00) {
        if (!take(reader, "\\u") || !read_hex(reader, &low) || low < 0xdc00 || low >= 0xe000) {
            return 0;
        }
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    return write_utf8(code, into);
}

static char *read_string(struct reader *reader, size_t *length) {
    if (!take(reader, "\"")) {
        return refuse(reader, "a text was expected");
    }
    const unsigned char *close = reader->at;
    while (close < reader->end && *close != '"') {
        close += *close == '\\' && reader->end - close > 1 ? 2 : 1;
    }
    char *text = close < reader->end ? malloc((size_t)(close - reader->at) + 1) : NULL;
    size_t used = 0;
    while (text != NULL && reader->at < close) {
        const unsigned char *next = json_next_character(reader->at, close);
        size_t more = 0;
        if (*reader->at == '\\') {
            reader->at++;
            more = read_escape(reader, text + used);
        } else if (next != NULL && *reader->at >= 0x20) {
            more = (size_t)(next - reader->at);
            memcpy(text + used, reader->at, more);
            reader->at = next;
        }
        if (more == 0) {
            free(text);
            return refuse(reader, "a text has a character or an escape that is not allowed");
        }
        used += more;
    }
    if (text == NULL) {
        return refuse(reader, "a text does not end");
    }
    reader->at++; /* the closing quote */
    text[used] = '\0';
    *length = used;
    return text;
}

static size_t skip_digits(struct reader *reader) {
    const unsigned char *start = reader->at;
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9') {
        reader->at++;
    }
    return (size_t)(reader->at - start);
}

static bool read_number(struct reader *reader, double *number) {
    const unsigned char *start = reader->at;
    take(reader, "-");
    bool valid = take(reader, "0") || skip_digits(reader) > 0;
    if (valid && take(reader, ".")) {
        valid = skip_digits(reader) > 0;
    }
    if (valid && (take(reader, "e") || take(reader, "E"))) {
        bool sign = take(reader, "+") || take(reader, "-");
        (void)sign;
        valid = skip_digits(reader) > 0;
    }
    *number = valid ? strtod((const char *)start, NULL) : 0; /* a NUL follows the document */
    return valid && isfinite(*number);
}

static int by_key(const void *left, const void *right) {
    const struct json *a = *(const struct json *const *)left, *b = *(const struct json *const *)right;
    if (a->key_length != b->key_length) {
        return a->key_length < b->key_length ? -1 : 1;
    }
    return memcmp(a->key, b->key, a->key_length);
}

/* Whether every member of an object has a name of its own; sorted, since a vocabulary has many. */
static bool has_own_names(struct reader *reader, const struct json *object) {
    const struct json **members = object->length > 1 ? malloc(object->length * sizeof *members) : NULL;
    size_t count = 0;
    bool own = object->length < 2 || members != NULL || refuse(reader, "there is no memory for it") != NULL;
    for (const struct json *each = object->first; members != NULL && each != NULL; each = each->next) {
        members[count++] = each;
    }
    if (count > 0) {
        qsort(members, count, sizeof(const struct json *), by_key);
    }
    for (size_t i = 1; own && i < count; i++) {
        own = by_key(&members[i - 1], &members[i]) != 0;
    }
    free(members);
    return own || refuse(reader, "an object has a name twice") != NULL; /* the first reason stays */
}

/* Read the members of an object or the elements of an array, up to and with the closing bracket. */
static bool read_children(struct reader *reader, struct json *parent) {
    const char *close = parent->kind == JSON_OBJECT ? "}" : "]";
    struct json **place = &parent->first;
    skip_blanks(reader);
    if (take(reader, close)) {
        return true;
    }
    do {
        char *key = NULL;
        size_t key_length = 0;
        if (parent->kind == JSON_OBJECT) {
            skip_blanks(reader);
            key = read_string(reader, &key_length);
            skip_blanks(reader);
            if (key == NULL || !take(reader, ":")) {
                free(key);
                return refuse(reader, "a name and a colon were expected") != NULL;
            }
        }
        *place = read_value(reader);
        if (*place == NULL) {
            free(key);
            return false;
        }
        (*place)->key = key;
        (*place)->key_length = key_length;
        place = &(*place)->next;
        parent->length++;
        skip_blanks(reader);
    } while (take(reader, ","));
    bool closed = take(reader, close) || refuse(reader, "a comma or a closing bracket was expected") != NULL;
    return closed && (parent->kind == JSON_ARRAY || has_own_names(reader, parent));
}

static bool read_content(struct reader *reader, struct json *value) {
    if (take(reader, "{") || take(reader, "[")) {
        value->kind = reader->at[-1] == '{' ? JSON_OBJECT : JSON_ARRAY;
        bool read = reader->depth++ < DEEPEST ? read_children(reader, value)
                                              : refuse(reader, "it is nested too deep") != NULL;
        reader->depth--;
        return read;
    }
    if (reader->at < reader->end && *reader->at == '"') {
        value->kind = JSON_STRING;
        value->text = read_string(reader, &value->length);
        return value->text != NULL;
    }
    value->kind = take(reader, "null")    ? JSON_NULL
                  : take(reader, "true")  ? JSON_TRUE
                  : take(reader, "false") ? JSON_FALSE
                                          : JSON_NUMBER;
    return value->kind != JSON_NUMBER || read_number(reader, &value->number) ||
           refuse(reader, "a value was expected") != NULL;
}

static struct json *read_value(struct reader *reader) {
    struct json *value = calloc(1, sizeof *value);
    skip_blanks(reader);
    if (value == NULL || !read_content(reader, value)) {
        json_free(value);
        return refuse(reader, "there is no memory for it");
    }
    return value;
}

struct json *json_parse(const char *text, size_t length, const char **why) {
    struct reader reader = {(const unsigned char *)text, (const unsigned char *)text + length, 0, NULL};
    struct json *value = read_value(&reader);
    skip_blanks(&reader);
    if (value != NULL && reader.at != reader.end) {
        json_free(value);
        value = refuse(&reader, "something follows its end");
    }
    *why = reader.why;
    return value;
}

void json_free(struct json *value) {
    while (value != NULL) { /* along the chain; the depth is bounded by the reader */
        struct json *next = value->next;
        json_free(value->first);
        free(value->text);
        free(value->key);
        free(value);
        value = next;
    }
}

const struct json *json_get(const struct json *object, const char *key) {
    size_t length = strlen(key);
    const struct json *member = object != NULL && object->kind == JSON_OBJECT ? object->first : NULL;
    while (member != NULL && (member->key_length != length || memcmp(member->key, key, length) != 0)) {
        member = member->next;
    }
    return member;
}

const char *json_text(const struct json *value) {
    bool plain = value != NULL && value->kind == JSON_STRING && strlen(value->text) == value->length;
    return plain ? value->text : NULL;
}

bool json_whole(const struct json *value, size_t *number) {
    const double most = SIZE_MAX < 9007199254740992u ? (double)SIZE_MAX : 9007199254740992.0;
    if (value == NULL || value->kind != JSON_NUMBER || value->number < 0 || value->number > most) {
        return false;
    }
    *number = (size_t)value->number;
    return (double)*number == value->number;
}
