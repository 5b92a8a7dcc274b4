// On the audio thread: samples in blocks of the width that a step takes, sent some at a time.

const TOLD_MS = 50;

class Blocks extends AudioWorkletProcessor {
  constructor({ processorOptions: { width } }) {
    super();
    this.width = width;
    this.block = new Float32Array(width);
    this.filled = 0;
    this.blocks = [];
    this.told = currentTime;
  }

  process([[channel]]) {
    for (const sample of channel ?? []) {
      this.block[this.filled++] = sample;
      if (this.filled < this.width) continue;
      this.blocks.push(this.block);
      [this.block, this.filled] = [new Float32Array(this.width), 0];
    }
    if (this.blocks.length && (currentTime - this.told) * 1000 >= TOLD_MS) {
      this.port.postMessage(this.blocks);
      [this.blocks, this.told] = [[], currentTime];
    }
    return true;
  }
}

registerProcessor('blocks', Blocks);
