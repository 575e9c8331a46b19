// What MLflow's MLmodel file says of where a model's bytes are. Pure.
import { parse } from 'yaml';
import { z } from 'zod';
import { invalidArgument } from '../../platform/errors.ts';

const schema = z.object({ flavors: z.record(z.string(), z.unknown()) });
const onnxFlavor = z.object({ data: z.string() });

/** Aliases in YAML that stand for more than this are an attack. */
const maxAliasCount = 10;

const howToExport =
  "export it to ONNX and log that: skl2onnx's to_onnx(model, rows, options={'zipmap': False}), then mlflow.onnx.log_model(…, save_as_external_data=False)";

/** The name of the file that is an ONNX model. Throws `invalid_argument` where there is none that can be taken alone. */
export function onnxFileOf(text: string): string {
  const found = schema.safeParse(parseYaml(text));
  if (!found.success) throw refuse('MLmodel', 'is not what MLflow writes: it names no flavors');
  const { flavors } = found.data;
  const onnx = onnxFlavor.safeParse(flavors.onnx);
  if (!onnx.success) {
    const names = Object.keys(flavors).join(', ');
    throw refuse('MLmodel', `has no ONNX flavor (it has ${names.slice(0, 200) || 'none'}): ${howToExport}`);
  }
  const name = onnx.data.data;
  if (!isPlainName(name)) throw refuse('MLmodel.flavors.onnx.data', 'must be the name of a file beside it');
  return name;
}

/** Throws where a model's tensors lie in files of their own: it names them, whatever their names are. */
export function refuseExternalData(model: Uint8Array, siblings: readonly string[]): void {
  const bytes = Buffer.from(model.buffer, model.byteOffset, model.byteLength);
  const external = siblings.find((each) => bytes.includes(each));
  if (external) throw refuse(external, `holds a part of the model, and only whole ones are taken: ${howToExport}`);
}

export const refuse = (field: string, description: string) =>
  invalidArgument([{ field, description }], { reason: 'INVALID_MODEL' });

/** Of one folder: whoever wrote the file must not choose others. */
export const isPlainName = (name: string): boolean => /^[A-Za-z0-9_][A-Za-z0-9_. -]{0,127}$/.test(name);

function parseYaml(text: string): unknown {
  try {
    return parse(text, { maxAliasCount });
  } catch {
    return undefined;
  }
}
