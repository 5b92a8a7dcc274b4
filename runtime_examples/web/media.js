// The camera and the microphone: what is wrong where there is none, in one line.

const REASONS = {
  NotAllowedError: 'this page may not use it; allow it in the browser’s settings of this site, or give a file',
  SecurityError: 'this page may not use it; allow it in the browser’s settings of this site, or give a file',
  NotFoundError: 'this device has none; connect one, or give a file',
  OverconstrainedError: 'this device has none that fits; connect another, or give a file',
  NotReadableError: 'another program uses it; close that one, or give a file',
};
const MOST_SIDE = 320; // of a camera's picture: models take far smaller ones

async function streamOf(what, constraints) {
  if (!navigator.mediaDevices?.getUserMedia)
    throw new Error(`the ${what} cannot be used on a page that came over plain http; expected https or localhost; open it there`);
  try {
    return await navigator.mediaDevices.getUserMedia(constraints);
  } catch (error) {
    throw new Error(`the ${what} cannot be used: ${REASONS[error.name] ?? `${error.message}; give a file`}`);
  }
}

/** Open the camera; returns { grab, close }: an ImageData of what it sees now, and its end. */
export async function openCamera() {
  const wanted = { width: { ideal: MOST_SIDE }, facingMode: { ideal: 'environment' } };
  const stream = await streamOf('camera', { video: wanted, audio: false });
  const video = Object.assign(document.createElement('video'), { muted: true, playsInline: true, srcObject: stream });
  await video.play();
  const grab = () => {
    const scale = Math.min(1, MOST_SIDE / Math.max(video.videoWidth, video.videoHeight));
    const [width, height] = [video.videoWidth, video.videoHeight].map((side) => Math.max(1, Math.round(side * scale)));
    const context = new OffscreenCanvas(width, height).getContext('2d');
    context.drawImage(video, 0, 0, width, height);
    return context.getImageData(0, 0, width, height);
  };
  const close = () => stream.getTracks().forEach((track) => track.stop());
  return { grab, close };
}

/**
 * Open the microphone; `onBlocks` gets [Float32Array [width]], samples from -1 to 1 at `rate` a second, one channel. The browser
 * resamples. Returns { close }.
 */
export async function openMicrophone({ rate, width }, onBlocks) {
  const stream = await streamOf('microphone', { audio: { channelCount: 1 }, video: false });
  const stop = () => stream.getTracks().forEach((track) => track.stop());
  let context;
  try {
    context = new AudioContext({ sampleRate: rate });
    await context.audioWorklet.addModule(new URL('microphone_worklet.js', import.meta.url));
    const node = new AudioWorkletNode(context, 'blocks', { processorOptions: { width }, numberOfOutputs: 0 });
    node.port.onmessage = ({ data }) => onBlocks(data);
    context.createMediaStreamSource(stream).connect(node);
    await context.resume();
  } catch (error) {
    stop();
    await context?.close();
    throw new Error(`the microphone cannot be read at ${rate} samples a second (${error.message}); give another rate, or a file`);
  }
  const close = () => {
    stop();
    context.close();
  };
  return { close };
}

/** Take one picture with the camera. */
export async function pictureTaken() {
  const camera = await openCamera();
  try {
    return camera.grab();
  } finally {
    camera.close();
  }
}
