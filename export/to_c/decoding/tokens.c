
/* Whether `byte` may stand behind the `count` bytes of UTF-8 in `held`, and the bytes of the character
   (The Unicode Standard, table 3-7): 0 where it may not. */
static int32_t length_with(const uint8_t *held, int32_t count, uint8_t byte)
{
    const uint8_t lead = count ? held[0] : byte;
    const int32_t length =
        lead < 0x80 ? 1 : lead < 0xC2 || lead > 0xF4 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    uint8_t low = 0x80, high = 0xBF;
    if (count == 0) { return length; }
    if (count == 1) {
        low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
        high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    }
    return byte >= low && byte <= high ? length : 0;
}

static int32_t replace(char *piece)
{
    piece[0] = (char)0xEF;
    piece[1] = (char)0xBF;
    piece[2] = (char)0xBD;
    return 3;
}

/* Take a byte of a text; as Python and browsers do it, one U+FFFD stands for the longest beginning of a
   character. */
static int32_t push_byte(net_text_decoder *decoder, uint8_t byte, char *piece)
{
    int32_t written = 0, length = length_with(decoder->held, decoder->count, byte);
    if (!length && decoder->count) {
        written = replace(piece);
        decoder->count = 0;
        length = length_with(decoder->held, 0, byte);
    }
    if (!length) { return written + replace(piece + written); }
    decoder->held[decoder->count++] = byte;
    if (decoder->count < length) { return written; }
    for (int32_t i = 0; i < length; ++i) { piece[written++] = (char)decoder->held[i]; }
    decoder->count = 0;
    return written;
}

int32_t net_text_flush(net_text_decoder *decoder, char piece[NET_TEXT_PIECE])
{
    int32_t held;
    if (!decoder || !piece) { return -1; }
    held = decoder->count;
    decoder->count = 0;
    return held ? replace(piece) : 0;
}

/* Read a character of UTF-8; return its bytes, 0 where it is none. */
static int32_t read_character(const char *text, uint32_t *code)
{
    uint8_t held[4];
    int32_t length = 0, count = 0;
    do {
        const uint8_t byte = (uint8_t)text[count];
        length = length_with(held, count, byte);
        held[count++] = byte;
    } while (length > count);
    *code = held[0] & (length == 1 ? 0x7Fu : 0x7Fu >> length);
    for (int32_t i = 1; i < length; ++i) { *code = *code << 6 | (held[i] & 0x3Fu); }
    return length;
}
