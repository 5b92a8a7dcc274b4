
int net_text_begin(net_text *text)
{
    if (!text) { return NET_TEXT_NULL; }
    begin(&text->state);
    text->position = 0;
    text->pending = -2;
    return NET_TEXT_OK;
}

static int is_in(const int32_t *ids, int32_t count, int64_t token)
{
    for (int32_t i = 0; i < count; ++i) {
        if (ids[i] == token) { return 1; }
    }
    return 0;
}

static int are_tokens(const int64_t *tokens, int32_t count)
{
    for (int32_t i = 0; i < count; ++i) {
        if (tokens[i] < 0 || tokens[i] >= NET_TEXT_VOCABULARY) { return 0; }
    }
    return count >= 0;
}

int net_text_feed(net_text *text, const int64_t *tokens, int32_t count, net_text_room *room)
{
    int code = NET_TEXT_OK;
    if (!text || !room || (!tokens && count)) { return NET_TEXT_NULL; }
    if (!are_tokens(tokens, count) || text->pending >= NET_TEXT_VOCABULARY) { return NET_TEXT_RANGE; }
    if (text->pending < 0 && count == 0) { return NET_TEXT_EMPTY; }
    if (text->pending >= 0) { code = take(text, text->pending, room); }
    for (int32_t i = 0; !code && i < count; ++i) { code = take(text, tokens[i], room); }
    if (!code) { text->pending = -1; }
    return code;
}

int net_text_next(net_text *text, const net_text_options *options, net_text_room *room, int64_t *token)
{
    int32_t chosen = 0;
    int code = NET_TEXT_OK;
    if (!text || !options || !room || !token) { return NET_TEXT_NULL; }
    if (!are_options(options)) { return NET_TEXT_OPTION; }
    if (text->pending == -2) {
        code = net_text_feed(text, starts, START, room);
    } else if (text->pending != -1) {
        code = net_text_feed(text, 0, 0, room);
    }
    if (code) { return code; }
    for (int32_t i = 0; i < SUPPRESSED; ++i) { room->logits[suppressed[i]] = never.number; }
    code = net_text_choose(room->logits, NET_TEXT_VOCABULARY, options,
                           net_text_uniform(options->seed, text->position), room->weights, room->order,
                           room->next, &chosen);
    if (code) { return code; }
    text->position += 1;
    text->pending = chosen;
    *token = chosen;
    return NET_TEXT_OK;
}

int net_text_write(net_text *text, const int64_t *tokens, int32_t count, const net_text_options *options,
                   net_text_hear hear, void *context, net_text_room *room)
{
    int code = net_text_check(options);
    if (!text || !hear || !room || (!tokens && count)) { return NET_TEXT_NULL; }
    if (!code && count != 0) { code = net_text_feed(text, tokens, count, room); }
    for (int32_t written = 0; !code && written < options->length; ++written) {
        int64_t token = 0;
        code = net_text_next(text, options, room, &token);
        if (code || hear(context, token) || is_in(stops, STOPS, token)) { break; }
    }
    return code;
}
