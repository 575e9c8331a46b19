/** `npm run card:schema`: writes the JSON Schema of model cards, `registry/card.schema.json`. */
import { writeFile } from 'node:fs/promises';
import { publishedCardSchema } from '../registry/card.ts';

const file = new URL('../registry/card.schema.json', import.meta.url);
await writeFile(file, `${JSON.stringify(publishedCardSchema(), null, 2)}\n`);
