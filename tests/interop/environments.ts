import { fileURLToPath } from 'node:url';

const fileOf = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** The Python environments: where each is made, and of what. Apart, since both pin what the other pins otherwise. */
export const environments = {
  feast: { dir: fileOf('.oo/interop'), requirements: fileOf('tests/interop/requirements.txt') },
  litellm: { dir: fileOf('.oo/interop/litellm'), requirements: fileOf('tests/interop/litellm-requirements.txt') },
  onnx: { dir: fileOf('.oo/interop/onnx'), requirements: fileOf('tests/interop/onnx-requirements.txt') },
} as const;
