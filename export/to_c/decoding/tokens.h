
/* Bytes of UTF-8 that net_text_push writes at most. */
#define NET_TEXT_PIECE 8

/* The bytes of a character that is not whole yet. All zeros at the beginning of a text. */
typedef struct {
    uint8_t held[4];
    int32_t count;
} net_text_decoder;

/* Write the tokens of a text, UTF-8 that ends with a zero, and how many they are. With NET_TEXT_LONG
   nothing but that is written. A text has no more tokens than bytes. */
int net_text_encode(const char *text, int64_t *tokens, int32_t room, int32_t *count);

/* Take a token, write the text that is whole by then; return its bytes, or -1 for a null pointer or a
   token outside the vocabulary. U+FFFD stands for bytes that are no UTF-8. */
int32_t net_text_push(net_text_decoder *decoder, int64_t token, char piece[NET_TEXT_PIECE]);

/* End a text: write U+FFFD for a character that stayed incomplete; return the bytes, or -1. */
int32_t net_text_flush(net_text_decoder *decoder, char piece[NET_TEXT_PIECE]);
