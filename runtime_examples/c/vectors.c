/* See vectors.h. */
#include "vectors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sampler.h"

static bool damaged(struct bundle_error *error, const char *what) {
    return fail(
        error,
        "the sampler's vectors are damaged: %s; expected what edgernn export writes; export the bundle again",
        what);
}

static bool number(const struct json *object, const char *key, double least, double most, double *value) {
    const struct json *found = json_get(object, key);
    *value = found != NULL && found->kind == JSON_NUMBER ? found->number : NAN;
    return *value >= least && *value <= most;
}

static bool check_uniforms(const struct json *group, struct tally *tally, struct bundle_error *error) {
    const struct json *values = json_get(group, "values");
    size_t seed = 0, position = 0;
    if (!json_whole(json_get(group, "seed"), &seed) || !json_whole(json_get(group, "position"), &position) ||
        values == NULL) {
        return damaged(error, "random numbers have no seed, position or values");
    }
    for (const struct json *value = values->first; value != NULL; value = value->next) {
        bool right = value->kind == JSON_NUMBER && value->number == uniform_at(seed, position++);
        tally->numbers += !right;
    }
    return true;
}

/* Read the logits of a choice, minus infinity where an id is suppressed. */
static bool read_logits(const struct json *choice, float *logits, size_t count) {
    const struct json *value = json_get(choice, "logits")->first, *suppress = json_get(choice, "suppress");
    for (size_t id = 0; id < count; id++, value = value->next) {
        if (value->kind != JSON_NUMBER || !isfinite((float)value->number)) {
            return false;
        }
        logits[id] = (float)value->number;
    }
    for (const struct json *item = suppress != NULL ? suppress->first : NULL; item != NULL;
         item = item->next) {
        size_t id = 0;
        if (!json_whole(item, &id) || id >= count) {
            return false;
        }
        logits[id] = -INFINITY;
    }
    return true;
}

static bool check_choice(const struct json *choice, struct tally *tally, struct bundle_error *error) {
    const struct json *list = json_get(choice, "logits");
    size_t count = list != NULL && list->kind == JSON_ARRAY ? list->length : 0, token = 0;
    struct options options = {0};
    double uniform = 0;
    bool sound = count > 0 && number(choice, "uniform", 0, 1, &uniform) &&
                 json_whole(json_get(choice, "top_k"), &options.top_k) &&
                 number(choice, "temperature", 0, HUGE_VAL, &options.temperature) &&
                 number(choice, "top_p", 0, 1, &options.top_p) &&
                 json_whole(json_get(choice, "token"), &token);
    float *logits = sound ? calloc(count, sizeof *logits) : NULL;
    struct ranked *room = sound ? calloc(count, sizeof *room) : NULL;
    sound = logits != NULL && room != NULL && read_logits(choice, logits, count);
    if (sound) {
        tally->tokens += sample(logits, count, &options, uniform, room) != token;
    }
    free(logits);
    free(room);
    return sound || damaged(error, "a choice of a token has no logits, or a number beyond reason");
}

bool check_vectors(const struct bundle *bundle, struct tally *tally, struct bundle_error *error) {
    const struct json *named = json_get(bundle->manifest, "sampler");
    const char *path = json_text(named), *why = "";
    size_t length = 0, version = 0;
    bool some = false;
    *tally = (struct tally){0};
    if (named == NULL || named->kind == JSON_NULL) {
        return true;
    }
    char *text = path != NULL ? bundle_read(bundle, path, &length, error) : NULL;
    if (text == NULL) {
        return path == NULL ? damaged(error, "their path is no text") : false;
    }
    tally->there = true;
    struct json *document = json_parse(text, length, &why);
    const char *generator = json_text(json_get(document, "generator"));
    const struct json *uniforms = json_get(document, "uniforms"), *tokens = json_get(document, "tokens");
    bool sound = json_whole(json_get(document, "version"), &version) && version == 1 && generator != NULL &&
                 strcmp(generator, "splitmix64") == 0 && uniforms != NULL && tokens != NULL;
    sound = sound || damaged(error, document == NULL ? why : "they are not of version 1 and splitmix64");
    for (const struct json *group = sound ? uniforms->first : NULL; sound && group != NULL;
         group = group->next) {
        sound = check_uniforms(group, tally, error);
        some = some || (sound && json_get(group, "values")->first != NULL);
    }
    for (const struct json *choice = sound ? tokens->first : NULL; sound && choice != NULL;
         choice = choice->next) {
        sound = check_choice(choice, tally, error);
    }
    tally->numbers = some ? tally->numbers : INFINITY;
    tally->tokens = sound && tokens->first != NULL ? tally->tokens : INFINITY;
    json_free(document);
    free(text);
    return sound;
}
