/* See bundle.h: the files of a bundle, each held against what the manifest says of it. */
#define _XOPEN_SOURCE 700
#include "parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "onnx_guard.h"
#include "sha256.h"

static const size_t MOST_BYTES = (size_t)1 << 30;

bool damaged(const char *what, struct bundle_error *error) {
    return fail(error,
                "manifest.json is damaged: %s; expected what edgernn export writes; export the bundle again",
                what);
}

char *bundle_path(const struct bundle *bundle, const char *name) {
    size_t size = strlen(bundle->folder) + strlen(name) + 2;
    char *path = malloc(size);
    if (path != NULL) {
        snprintf(path, size, "%s/%s", bundle->folder, name);
    }
    return path;
}

static char *read_open_file(FILE *file, size_t *length) {
    char *content = malloc(1);
    size_t room = 1, got = 0;
    *length = 0;
    do {
        if (room - *length < 2) { /* always one left for the NUL */
            char *larger = room <= MOST_BYTES ? realloc(content, room = room * 2 + 65536) : NULL;
            if (larger == NULL) {
                free(content);
                errno = EFBIG;
                return NULL;
            }
            content = larger;
        }
        got = fread(content + *length, 1, room - *length - 1, file);
        *length += got;
    } while (got > 0);
    if (ferror(file)) {
        free(content);
        return NULL;
    }
    content[*length] = '\0';
    return content;
}

/* Open a plain file whose own place, every link followed, is in the bundle's folder. */
static FILE *open_inside(const struct bundle *bundle, const char *name, struct bundle_error *error) {
    char *path = bundle_path(bundle, name);
    errno = ENOMEM;
    char *folder = path != NULL ? realpath(bundle->folder, NULL) : NULL,
         *own = folder != NULL ? realpath(path, NULL) : NULL;
    size_t length = folder != NULL ? strlen(folder) : 0;
    struct stat seen;
    FILE *file = NULL;
    if (own == NULL || stat(own, &seen) != 0) {
        fail(error, "cannot read %s/%s: %s; expected a whole bundle folder; give one", bundle->folder, name,
             strerror(errno));
    } else if (strncmp(own, folder, length) != 0 || (own[length] != '/' && length > 1)) {
        fail(error, "%s/%s leads out of the bundle; expected a file in it; copy the bundle again",
             bundle->folder, name);
    } else if (!S_ISREG(seen.st_mode)) {
        fail(error, "%s/%s is no plain file; expected one; copy the bundle again", bundle->folder, name);
    } else if ((uint64_t)seen.st_size > MOST_BYTES) {
        fail(error, "%s/%s has more than 2^30 bytes; expected fewer; copy the bundle again", bundle->folder,
             name);
    } else if ((file = fopen(own, "rb")) == NULL) {
        fail(error, "cannot read %s/%s: %s; make it readable", bundle->folder, name, strerror(errno));
    }
    free(path);
    free(folder);
    free(own);
    return file;
}

char *read_file(const struct bundle *bundle, const char *name, size_t *length, struct bundle_error *error) {
    FILE *file = open_inside(bundle, name, error);
    char *content = file != NULL ? read_open_file(file, length) : NULL;
    if (file != NULL) {
        if (content == NULL) {
            fail(error, "cannot read %s/%s: %s; copy the bundle again", bundle->folder, name,
                 strerror(errno));
        }
        fclose(file);
    }
    return content;
}

/* Whether a name in the manifest stays inside the folder. */
static bool inside(const char *name) {
    for (const char *part = name; part != NULL; part = strchr(part, '/')) {
        part += *part == '/';
        size_t length = strcspn(part, "/");
        if (length == 0 || (length == 1 && *part == '.') || (length == 2 && strncmp(part, "..", 2) == 0)) {
            return false;
        }
    }
    return *name != '/' && strpbrk(name, "\\:") == NULL;
}

/* Return the artifact in use that lies at a path, or NULL. */
static const struct artifact *artifact_at(const struct bundle *bundle, const char *name) {
    const struct artifact *all[] = {&bundle->stepper, &bundle->encoder};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i]->path != NULL && strcmp(name, all[i]->path) == 0) {
            return all[i];
        }
    }
    return NULL;
}

/* Return what the manifest says of a file: its entry in `files`, or an artifact in use; NULL where it lists
 * no such file. */
static const struct json *listed(const struct bundle *bundle, const char *name) {
    const struct json *entry = json_get(json_get(bundle->manifest, "files"), name);
    const struct artifact *artifact = entry == NULL ? artifact_at(bundle, name) : NULL;
    return artifact != NULL ? artifact->entry : entry;
}

char *bundle_read(const struct bundle *bundle, const char *name, size_t *length, struct bundle_error *error) {
    const struct json *entry = listed(bundle, name);
    const char *digest = json_text(json_get(entry, "sha256"));
    size_t bytes = 0;
    char found[65];
    if (entry == NULL) {
        fail(error, "manifest.json lacks the file %s; expected it in files; export the bundle again", name);
        return NULL;
    }
    if (digest == NULL || !json_whole(json_get(entry, "bytes"), &bytes) || !inside(name)) {
        damaged("a file has no path inside the folder, no bytes or no sha256", error);
        return NULL;
    }
    char *content = read_file(bundle, name, length, error);
    if (content == NULL) {
        return NULL;
    }
    sha256((const unsigned char *)content, *length, found);
    bool same = *length == bytes && strcmp(found, digest) == 0;
    if (*length != bytes) {
        fail(error, "%s/%s has %zu bytes, expected %zu; copy the bundle again", bundle->folder, name, *length,
             bytes);
    } else if (!same) {
        fail(error, "%s/%s has SHA-256 %s, expected %.64s; copy the bundle again", bundle->folder, name,
             found, digest);
    } else if (artifact_at(bundle, name) != NULL) {
        same = refuse_foreign(content, *length, name, error);
    }
    if (!same) {
        free(content);
    }
    return same ? content : NULL;
}
