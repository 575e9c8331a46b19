// Turns findings on stdin, ours or buf's, into lines for a person, or with --json all into one form.
import { readFileSync } from 'node:fs';
import { formatFinding, parseFinding } from './finding.ts';

const asJson = process.argv.includes('--json');
for (const line of readFileSync(0, 'utf8').split('\n').filter(Boolean)) {
  const finding = parseFinding(line);
  if (!finding) console.error(line);
  else console.log(asJson ? JSON.stringify(finding) : `     ${formatFinding(finding)}`);
}
