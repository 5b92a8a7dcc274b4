// Text from a network over the serial port: send a line, and the board goes on writing behind it.
//
// `make sketch BUNDLE=net` puts the network beside this file. It needs a 32-bit board with a floating-point unit
// (Cortex-M4F or better, as Nano 33 BLE, Portenta H7, Giga R1, Nano R4), as its flash and RAM allow.
#include "step.h"
#include "writing.h"

static char prompt[65];
static int length = 0;

static void hear(const char *piece, int32_t bytes) {
  Serial.write(reinterpret_cast<const uint8_t *>(piece), static_cast<size_t>(bytes));
}

void setup() {
  Serial.begin(115200);
  while (!Serial) {
  }
  Serial.print(F("weights: "));
  Serial.print(NET_STEP_WEIGHTS_BYTES);
  Serial.println(F(" bytes. Send a line."));
}

void loop() {
  if (Serial.available() == 0) {
    return;
  }
  const char character = static_cast<char>(Serial.read());
  if (character != '\n' && length < 64) {
    prompt[length++] = character;
    return;
  }
  prompt[length] = 0;
  length = 0;
  Serial.print(prompt);
  const unsigned long begin = micros();
  const int code = write_text(prompt, begin, 200, hear);
  const unsigned long taken = micros() - begin;
  if (code == 0) {
    Serial.print(F("\n(microseconds a token, printing included: "));
    Serial.print(taken / 200);
    Serial.println(F(")"));
  } else {
    Serial.print(F(" is refused: NET_TEXT code "));
    Serial.println(code);
  }
}
