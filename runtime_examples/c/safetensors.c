/* See safetensors.h. */
#include "safetensors.h"

#include <stdlib.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the values of a safetensors file are little-endian; swap their bytes on this machine"
#endif

bool safetensors_open(struct safetensors *file, const struct bundle *bundle, const char *name, struct bundle_error *error) {
    size_t length = 0, header = 0;
    const char *why = "it is too short";
    *file = (struct safetensors){.name = name};
    if (name == NULL) {
        return fail(error, "manifest.json names no safetensors file for this use; expected one; export the bundle again");
    }
    file->content = bundle_read(bundle, name, &length, error);
    if (file->content == NULL) {
        return false;
    }
    for (size_t i = 8; i > 0 && length >= 8; i--) {
        header = header > length ? header : header << 8 | (unsigned char)file->content[i - 1]; /* stays large once it is */
    }
    if (length >= 8 && header <= length - 8) {
        char *start = file->content + 8;
        char kept = start[header];
        start[header] = '\0'; /* ends the header for the reader of numbers */
        file->header = json_parse(start, header, &why);
        start[header] = kept;
        file->data = start + header;
        file->data_bytes = length - 8 - header;
    }
    return file->header != NULL ||
           fail(error, "%s is no safetensors file (%s); expected one; export the bundle again", name, why);
}

void safetensors_close(struct safetensors *file) {
    json_free(file->header);
    free(file->content);
    *file = (struct safetensors){0};
}

size_t safetensors_axis(const struct safetensors *file, const char *tensor, bool last) {
    const struct json *shape = json_get(json_get(file->header, tensor), "shape"), *axis = shape != NULL ? shape->first : NULL;
    size_t size = 0;
    while (last && axis != NULL && axis->next != NULL) {
        axis = axis->next;
    }
    bool sized = json_whole(axis, &size) && size <= file->data_bytes; /* a value has a byte or more */
    return sized ? size : 0;
}

void *safetensors_copy(const struct safetensors *file, const char *tensor, const char *dtype, size_t width, size_t count,
                       struct bundle_error *error) {
    const struct json *entry = json_get(file->header, tensor), *offsets = json_get(entry, "data_offsets");
    const char *found = json_text(json_get(entry, "dtype"));
    size_t begin = 0, end = 0;
    bool there = offsets != NULL && offsets->length == 2 && json_whole(offsets->first, &begin) &&
                 json_whole(offsets->first->next, &end) && begin <= end && end <= file->data_bytes;
    bool typed = found != NULL && strcmp(found, dtype) == 0;
    bool fits = there && typed && (end - begin) % width == 0 && (end - begin) / width == count;
    void *values = fits && count > 0 ? malloc(end - begin) : NULL;
    if (values == NULL) {
        fail(error, "%s has no tensor %s of %zu values %s; expected what the contract says; export the bundle again",
             file->name, tensor, count, dtype);
        return NULL;
    }
    return memcpy(values, file->data + begin, end - begin);
}
