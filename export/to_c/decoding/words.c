
static int32_t put(const char *word, char *text, int32_t place)
{
    int32_t bytes = 0;
    for (; word[bytes]; ++bytes) {
        if (text) { text[place + bytes] = word[bytes]; }
    }
    return bytes;
}

/* One space between two words, none beside a line end. */
static int32_t join(const net_caption *caption, char *text)
{
    int32_t place = 0;
    int is_apart = 0;
    for (int32_t i = 0; i < caption->count; ++i) {
        const char *const word = words[caption->tokens[i]];
        const int ends_line = word && word[0] == '\n' && !word[1];
        if (!word) { break; }
        if (!word[0]) { continue; }
        if (is_apart && !ends_line) { place += put(" ", text, place); }
        place += put(word, text, place);
        is_apart = !ends_line;
    }
    return place;
}

int32_t net_caption_text(const net_caption *caption, char *text, int32_t room)
{
    int32_t bytes;
    if (!caption || !text || caption->count < 0 || caption->count > NET_CAPTION_LENGTH) { return -1; }
    for (int32_t i = 0; i < caption->count; ++i) {
        if (caption->tokens[i] < 0 || caption->tokens[i] >= NET_CAPTION_VOCABULARY) { return -1; }
    }
    bytes = join(caption, 0);
    if (bytes < room) {
        join(caption, text);
        text[bytes] = 0;
    }
    return bytes;
}
