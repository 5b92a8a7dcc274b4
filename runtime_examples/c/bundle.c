/* See bundle.h. The format is specified in the README of edgernn, "The bundle". */
#include "bundle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sha256.h"

static const size_t SCHEMA_VERSION = 1, MOST_VALUES = (size_t)1 << 26, MOST_BYTES = (size_t)1 << 30;

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

char *bundle_read(const struct bundle *bundle, const char *name, size_t *length, struct failure *failure) {
    char *path = bundle_path(bundle, name);
    errno = ENOMEM;
    FILE *file = path != NULL ? fopen(path, "rb") : NULL;
    char *content = file != NULL ? read_open_file(file, length) : NULL;
    if (content == NULL) {
        fail(failure, "cannot read %s/%s: %s; expected a whole bundle folder; give one", bundle->folder, name, strerror(errno));
    }
    if (file != NULL) {
        fclose(file);
    }
    free(path);
    return content;
}

static bool damaged(const char *what, struct failure *failure) {
    return fail(failure, "manifest.json is damaged: %s; expected what edgernn export writes; export the bundle again", what);
}

static bool read_manifest(struct bundle *bundle, struct failure *failure) {
    size_t length = 0, version = 0;
    const char *why = NULL;
    char *text = bundle_read(bundle, "manifest.json", &length, failure);
    if (text == NULL) {
        return false;
    }
    bundle->manifest = json_parse(text, length, &why);
    free(text);
    if (bundle->manifest == NULL) {
        return fail(failure, "%s/manifest.json is no JSON (%s); expected a manifest; export the bundle again", bundle->folder,
                    why);
    }
    const struct json *found = json_get(bundle->manifest, "schema_version");
    if (!json_whole(found, &version) || version != SCHEMA_VERSION) {
        double seen = found != NULL ? found->number : 0;
        return fail(failure, "manifest.json has schema_version %g, expected 1; export with a matching edgernn", seen);
    }
    return true;
}

/* Whether a name in the manifest stays inside the folder. */
static bool inside(const char *name) {
    for (const char *part = name; part != NULL; part = strchr(part, '/')) {
        part += *part == '/';
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0')) {
            return false;
        }
    }
    return *name != '\0' && *name != '/' && strchr(name, '\\') == NULL;
}

static bool verify_file(const struct bundle *bundle, const char *name, const struct json *entry, struct failure *failure) {
    const char *digest = json_text(json_get(entry, "sha256"));
    size_t bytes = 0, length = 0;
    char found[65];
    if (name == NULL || digest == NULL || !json_whole(json_get(entry, "bytes"), &bytes) || !inside(name)) {
        return damaged("a file has no path inside the folder, no bytes or no sha256", failure);
    }
    char *content = bundle_read(bundle, name, &length, failure);
    if (content == NULL) {
        return false;
    }
    sha256((const unsigned char *)content, length, found);
    free(content);
    if (length != bytes) {
        return fail(failure, "%s/%s has %zu bytes, expected %zu; copy the bundle again", bundle->folder, name, length, bytes);
    }
    return strcmp(found, digest) == 0 ||
           fail(failure, "%s/%s has SHA-256 %s, expected %.64s; copy the bundle again", bundle->folder, name, found, digest);
}

static bool verify(const struct bundle *bundle, struct failure *failure) {
    const struct json *files = json_get(bundle->manifest, "files");
    if (files == NULL || files->kind != JSON_OBJECT) {
        return damaged("it has no files", failure);
    }
    for (const struct json *entry = files->first; entry != NULL; entry = entry->next) {
        const char *name = strlen(entry->key) == entry->key_length ? entry->key : NULL;
        if (!verify_file(bundle, name, entry, failure)) {
            return false;
        }
    }
    return verify_file(bundle, bundle->path, bundle->artifact, failure);
}

static bool same(const struct json *object, const char *key, const char *text) {
    const char *found = json_text(json_get(object, key));
    return found != NULL && strcmp(found, text) == 0;
}

static bool no_artifact(const struct bundle *bundle, const char *wanted, struct failure *failure) {
    const struct json *list = json_get(bundle->manifest, "artifacts"), *seen = NULL;
    char there[512] = "";
    for (const struct json *entry = list != NULL ? list->first : NULL; entry != NULL; entry = entry->next) {
        const char *path = json_text(json_get(entry, "path"));
        if (same(entry, "format", "onnx") && same(entry, "graph", "step") && path != NULL) {
            size_t used = strlen(there);
            snprintf(there + used, sizeof there - used, "%s%s", used > 0 ? ", " : "", path);
        }
        seen = wanted != NULL && same(entry, "path", wanted) ? entry : seen;
    }
    const char *format = json_text(json_get(seen, "format")), *graph = json_text(json_get(seen, "graph"));
    const char *name = wanted != NULL ? wanted : "to run", *list_of = *there != '\0' ? there : "(there is none)";
    if (seen != NULL) {
        return fail(failure, "%s is of format %s and graph %s; expected an ONNX step file; choose one of: %s", name,
                    format != NULL ? format : "?", graph != NULL ? graph : "?", list_of);
    }
    return fail(failure, "the bundle has no artifact %s; expected an ONNX step file; choose one of: %s", name, list_of);
}

static bool choose(struct bundle *bundle, const char *wanted, struct failure *failure) {
    const struct json *list = json_get(bundle->manifest, "artifacts");
    for (const struct json *entry = list != NULL ? list->first : NULL; entry != NULL; entry = entry->next) {
        bool step = same(entry, "format", "onnx") && same(entry, "graph", "step");
        if (step && (wanted == NULL || same(entry, "path", wanted))) {
            bundle->artifact = entry;
            bundle->path = json_text(json_get(entry, "path"));
            bundle->precision = json_text(json_get(entry, "precision"));
            bool whole = bundle->path != NULL && bundle->precision != NULL;
            return whole || damaged("an artifact has no path or precision", failure);
        }
    }
    return no_artifact(bundle, wanted, failure);
}

/* Refuse an artifact that changes dtypes or keeps the state; see whether its time axis is open. */
static bool read_narrowing(struct bundle *bundle, struct failure *failure) {
    const struct json *narrowing = json_get(bundle->artifact, "narrowing"), *axes = json_get(narrowing, "axes");
    const struct json *dtypes = json_get(narrowing, "dtypes"), *kept = json_get(narrowing, "runtime_state");
    if (axes == NULL || dtypes == NULL || kept == NULL || dtypes->kind != JSON_OBJECT) {
        return damaged("an artifact has no narrowing", failure);
    }
    if (dtypes->first != NULL) {
        const char *dtype = json_text(dtypes->first);
        return fail(failure, "%s has %s as %s; expected the contract's dtypes; choose another artifact", bundle->path,
                    dtypes->first->key, dtype != NULL ? dtype : "?");
    }
    if (kept->kind != JSON_FALSE) {
        return fail(failure, "%s keeps the state itself; expected one that goes in and out; choose another artifact",
                    bundle->path);
    }
    const struct json *sizes = json_get(json_get(bundle->manifest, "contract"), "sizes");
    bundle->open_time = json_get(axes, "time") == NULL && json_get(sizes, "time") == NULL;
    return true;
}

/* Read one tensor of the contract; the batch and the time of this example are 1. */
static bool read_tensor(const struct bundle *bundle, const struct json *spec, const char *dtype, struct tensor *tensor,
                        struct failure *failure) {
    const struct json *sizes = json_get(json_get(bundle->manifest, "contract"), "sizes"), *axes = json_get(spec, "axes");
    tensor->name = json_text(json_get(spec, "name"));
    tensor->values = 1;
    if (tensor->name == NULL || strlen(tensor->name) >= MOST_NAME || axes == NULL || axes->length > MOST_AXES) {
        return damaged("a tensor of the contract has no name or axes", failure);
    }
    if (!same(spec, "dtype", dtype)) {
        return fail(failure, "the contract has %s in another dtype than %s; expected a language model of edgernn; use the "
                             "Python example", tensor->name, dtype);
    }
    for (const struct json *axis = axes->first; axis != NULL; axis = axis->next) {
        const char *name = json_text(axis);
        size_t size = 1;
        bool mine = name != NULL && (strcmp(name, "batch") == 0 || strcmp(name, "time") == 0);
        bool sized = name != NULL && (mine || json_whole(json_get(sizes, name), &size));
        if (!sized || size == 0 || size > MOST_VALUES / tensor->values) {
            return damaged("an axis of the contract has no size, or one beyond reason", failure);
        }
        tensor->shape[tensor->rank++] = (int64_t)size;
        tensor->values *= size;
    }
    return tensor->rank > 0 || damaged("a tensor of the contract has no axes", failure);
}

static bool read_inputs(struct bundle *bundle, const struct json *inputs, struct failure *failure) {
    for (const struct json *spec = inputs != NULL ? inputs->first : NULL; spec != NULL; spec = spec->next) {
        if (same(spec, "role", "input") && bundle->tokens.name == NULL) {
            if (!read_tensor(bundle, spec, "int64", &bundle->tokens, failure)) {
                return false;
            }
        } else if (same(spec, "role", "state") && bundle->states < MOST_STATES) {
            struct tensor *before = &bundle->before[bundle->states++];
            if (!read_tensor(bundle, spec, "float32", before, failure)) {
                return false;
            }
            bundle->state_values += before->values;
        } else {
            return damaged("the step takes what no language model takes", failure);
        }
    }
    bool fits = bundle->tokens.rank == 2 && bundle->tokens.values == 1;
    return fits || damaged("the step takes no tokens [batch, time]", failure);
}

/* Read the logits, and each state that comes out into the place of the one that went in. */
static bool read_outputs(struct bundle *bundle, const struct json *outputs, struct failure *failure) {
    for (const struct json *spec = outputs != NULL ? outputs->first : NULL; spec != NULL; spec = spec->next) {
        struct tensor found = {0};
        bool placed = false;
        if (!read_tensor(bundle, spec, "float32", &found, failure)) {
            return false;
        }
        if (same(spec, "role", "output") && bundle->logits.name == NULL) {
            bundle->logits = found;
            continue;
        }
        for (size_t i = 0; i < bundle->states && !placed; i++) {
            char next[MOST_NAME + 8];
            snprintf(next, sizeof next, "%s_next", bundle->before[i].name);
            placed = strcmp(next, found.name) == 0 && memcmp(found.shape, bundle->before[i].shape, sizeof found.shape) == 0;
            bundle->after[i] = placed ? found : bundle->after[i];
        }
        if (!placed) {
            return damaged("the step gives what no language model gives", failure);
        }
    }
    for (size_t i = 0; i < bundle->states; i++) {
        if (bundle->after[i].name == NULL) {
            return damaged("a state goes in and does not come out", failure);
        }
    }
    bundle->vocabulary = bundle->logits.values;
    return bundle->logits.rank == 3 || damaged("the step gives no logits [batch, time, vocab]", failure);
}

static bool read_contract(struct bundle *bundle, struct failure *failure) {
    if (!same(bundle->manifest, "family", "language")) {
        const char *family = json_text(json_get(bundle->manifest, "family"));
        return fail(failure, "the bundle is of the family %s; expected language; use the Python example, which runs it",
                    family != NULL ? family : "(none)");
    }
    const struct json *graphs = json_get(json_get(bundle->manifest, "contract"), "graphs");
    for (const struct json *graph = graphs != NULL ? graphs->first : NULL; graph != NULL; graph = graph->next) {
        if (same(graph, "name", "step")) {
            return read_inputs(bundle, json_get(graph, "inputs"), failure) &&
                   read_outputs(bundle, json_get(graph, "outputs"), failure);
        }
    }
    return damaged("the contract has no step", failure);
}

bool bundle_open(struct bundle *bundle, const char *folder, const char *artifact, struct failure *failure) {
    *bundle = (struct bundle){.folder = folder};
    return read_manifest(bundle, failure) && choose(bundle, artifact, failure) && verify(bundle, failure) &&
           read_narrowing(bundle, failure) && read_contract(bundle, failure);
}

void bundle_close(struct bundle *bundle) {
    json_free(bundle->manifest);
    *bundle = (struct bundle){0};
}
