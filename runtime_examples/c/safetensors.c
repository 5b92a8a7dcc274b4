/* See safetensors.h. */
#include "safetensors.h"

#include <stdlib.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the values of a safetensors file are little-endian; swap their bytes on this machine"
#endif

bool safetensors_open(struct safetensors *file, const struct bundle *bundle, const char *name,
                      struct bundle_error *error) {
    size_t length = 0, header = 0;
    const char *why = "it is too short";
    *file = (struct safetensors){.name = name};
    if (name == NULL) {
        return fail(
            error,
            "manifest.json names no safetensors file for this use; expected one; export the bundle again");
    }
    file->content = bundle_read(bundle, name, &length, error);
    if (file->content == NULL) {
        return false;
    }
    for (size_t i = 8; i > 0 && length >= 8; i--) {
        header = header > length
                     ? header
                     : header << 8 | (unsigned char)file->content[i - 1]; /* stays large once it is */
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

size_t safetensors_shape(const struct safetensors *file, const char *tensor,
                         int64_t shape[MOST_STORED_AXES]) {
    const struct json *axes = json_get(json_get(file->header, tensor), "shape");
    size_t rank = 0, size = 0;
    if (axes == NULL || axes->kind != JSON_ARRAY || axes->length > MOST_STORED_AXES) {
        return 0;
    }
    for (const struct json *axis = axes->first; axis != NULL; axis = axis->next) {
        if (!json_whole(axis, &size) || size > file->data_bytes) { /* a value has a byte or more */
            return 0;
        }
        shape[rank++] = (int64_t)size;
    }
    return rank;
}

void *safetensors_copy(const struct safetensors *file, const char *tensor, const struct dtype *dtype,
                       const int64_t *shape, size_t rank, struct bundle_error *error) {
    const struct json *entry = json_get(file->header, tensor), *offsets = json_get(entry, "data_offsets");
    const char *found = json_text(json_get(entry, "dtype"));
    int64_t own[MOST_STORED_AXES];
    size_t begin = 0, end = 0, bytes = dtype->width;
    bool there = offsets != NULL && offsets->length == 2 && json_whole(offsets->first, &begin) &&
                 json_whole(offsets->first->next, &end) && begin <= end && end <= file->data_bytes;
    bool typed = found != NULL && strcmp(found, dtype->stored) == 0;
    bool fits = there && typed && safetensors_shape(file, tensor, own) == rank;
    for (size_t i = 0; fits && i < rank; i++) {
        fits = own[i] == shape[i] && own[i] > 0 && bytes <= file->data_bytes / (size_t)own[i];
        bytes *= fits ? (size_t)own[i] : 1;
    }
    void *values = fits && bytes == end - begin ? malloc(bytes) : NULL;
    if (values == NULL) {
        fail(error,
             "%s has no tensor %s of the dtype %s and the shape that the contract gives it; expected one; "
             "export the bundle "
             "again",
             file->name, tensor, dtype->name);
        return NULL;
    }
    return memcpy(values, file->data + begin, bytes);
}
