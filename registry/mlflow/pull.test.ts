import { describe, expect, it } from 'vitest';
import type { MlflowVersion } from './client.ts';
import { onnxFileOf } from './ml-model.ts';
import { pull } from './pull.ts';

const mlModel = (data: string) => `flavors:\n  onnx:\n    data: ${data}\n`;

describe('an MLmodel file', () => {
  it('names the file that is the model', () => {
    expect(onnxFileOf(mlModel('my model.v2.onnx'))).toBe('my model.v2.onnx');
  });

  it.each([
    ...[
      '../secret',
      '/etc/passwd',
      'a/b.onnx',
      '..',
      '.hidden',
      'a\\b',
      'a%2fb',
      'http://elsewhere/m.onnx',
      "''",
      '"a\\0"',
    ],
  ])('cannot choose another folder by %s', (data) => {
    expect(() => onnxFileOf(mlModel(data))).toThrow('MLmodel.flavors.onnx.data: must be the name of a file beside it');
  });

  it.each([
    ['nothing', ''],
    ['a page', '<html></html>'],
    ['no YAML', 'flavors: [}'],
    ['YAML that unfolds', `a: &a [x]\nb: [${'*a, '.repeat(50)}]\nflavors: {}`],
    ['a list', 'flavors: [onnx]'],
  ])('that is %s is refused', (_, text) => {
    expect(() => onnxFileOf(text)).toThrow('MLmodel: is not what MLflow writes');
  });

  it.each([
    ['none', '{}', 'it has none'],
    ['others', '{sklearn: {}, python_function: {}}', 'it has sklearn, python_function): export it to ONNX'],
    ['one without a file', '{onnx: {}}', 'no ONNX flavor'],
  ])('that has %s says how to export', (_, flavors, message) => {
    expect(() => onnxFileOf(`flavors: ${flavors}`)).toThrow(message);
  });
});

describe('a pulled model', () => {
  const version: MlflowVersion = {
    ...{
      name: 'm',
      version: '3',
      status: 'READY',
      source: 'models:/m-1',
      run_id: '',
      description: '',
      tags: new Map(),
    },
  };
  const encode = (text: string) => new TextEncoder().encode(text);
  const files: Readonly<Record<string, string>> = {
    MLmodel: mlModel('m.onnx'),
    'm.onnx': 'model',
    'golden.json': '{}',
  };
  const reader = (
    changes: { version?: Partial<MlflowVersion>; sizes?: Record<string, number>; files?: typeof files } = {},
  ) => ({
    findAlias: async () => ({ ...version, ...changes.version }),
    readVersionUri: async () => 'mlflow-artifacts:/1/models/m-1/artifacts',
    findRun: async () => undefined,
    listArtifacts: async () =>
      Object.entries(changes.files ?? files).map(([path, text]) => ({
        ...{ path, is_dir: false, file_size: changes.sizes?.[path] ?? text.length },
      })),
    findArtifact: async (path: string) => encode((changes.files ?? files)[path.split('/').at(-1) ?? ''] ?? ''),
  });
  const pulled = (changes: Parameters<typeof reader>[0] = {}) => pull(reader(changes), { name: 'm', alias: 'a' });

  it('is what its alias has', async () => {
    expect(await pulled()).toMatchObject({ version: '3', model: encode('model'), golden: encode('{}') });
  });

  it.each<[string, Parameters<typeof reader>[0], string]>([
    ['came in half', { sizes: { 'm.onnx': 9 } }, 'm.onnx: came with 5 bytes of 9'],
    ['is too large, by what is listed', { sizes: { 'm.onnx': 2 ** 30 } }, 'm.onnx: has 1073741824 bytes'],
    ['is not ready', { version: { status: 'PENDING_REGISTRATION' } }, 'is PENDING_REGISTRATION'],
    [
      'is not what its version says',
      { version: { tags: new Map([['oo.artifact_sha256', 'f'.repeat(64)]]) } },
      'and its version says ffff',
    ],
    ['has no MLmodel', { files: { 'm.onnx': 'model' } }, 'MLmodel: is not there'],
    [
      'is not where MLmodel says',
      { files: { MLmodel: mlModel('n.onnx'), 'm.onnx': '' } },
      'n.onnx: is named by MLmodel',
    ],
    [
      'lies in two files',
      { files: { ...files, 'm.onnx': 'a 1b2.data b', '1b2.data': 'x' } },
      '1b2.data: holds a part of the model',
    ],
    ['has no golden batch', { files: { MLmodel: mlModel('m.onnx'), 'm.onnx': '' } }, 'golden.json: is not there'],
  ])('that %s is refused', async (_, changes, message) => {
    await expect(pulled(changes)).rejects.toThrow(message);
  });
});
