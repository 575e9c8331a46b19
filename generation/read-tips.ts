import { gist, parseTip, type TipDraft, tipsMax } from './output.ts';

/**
 * Reads tips out of an answer while it is written: each piece of text gives the tips that it completes. Of a text of the
 * agreed form these are, however it is cut into pieces, those of `parseOutput`, in their order; of one that breaks the form,
 * those before the break. Where an answer has its list of tips twice, the first counts.
 */
export function createTipReader(): (piece: string) => readonly TipDraft[] {
  const gists = new Set<string>();
  let place: 'head' | 'object' | 'tips' | 'over' = 'head';
  /** What has come since the last tip, or the last comma of the object. */
  let part = '';
  let depth = 0;
  let isFirst = true;
  let isInString = false;
  let isEscaped = false;

  /** Where the reading goes on after a bracket, brace or comma, the last character of `part`; and a tip, if it is one's end. */
  const step = (mark: string): TipDraft | undefined => {
    const isOpening = mark === '{' || mark === '[';
    const outer = depth;
    if (isOpening) depth++;
    else if (mark !== ',') depth--;

    if (place === 'head') {
      place = mark === '{' && isHead(part.slice(0, -1)) ? 'object' : 'over';
      part = '';
    } else if (place === 'object') {
      if (outer === 1 && mark === '[' && isMember(`${part}]`, 'tips')) {
        place = 'tips';
        part = '';
      } else if (outer === 1 && mark === ',') {
        if (!isMember(part.slice(0, -1))) place = 'over';
        part = '';
      } else if (depth < 1) place = 'over';
    } else if (mark === '}' && depth === 2) {
      const tip = isFirst ? tipOf(`[0,${part}]`) : tipOf(`[0${part}]`);
      isFirst = false;
      part = '';
      if (tip === undefined) place = 'over';
      else return tip;
    } else if (depth < 2) place = 'over';
    return undefined;
  };

  return (piece) => {
    const tips: TipDraft[] = [];
    let from = 0;
    for (let at = 0; at < piece.length && place !== 'over'; at++) {
      const char = piece.charAt(at);
      if (isInString) {
        if (isEscaped) isEscaped = false;
        else if (char === '\\') isEscaped = true;
        else if (char === '"') isInString = false;
      } else if (char === '"') isInString = true;
      else if (marks.has(char)) {
        part += piece.slice(from, at + 1);
        from = at + 1;
        const tip = step(char);
        if (tip === undefined || gists.has(gist(tip.content))) continue;
        gists.add(gist(tip.content));
        tips.push(tip);
        if (gists.size === tipsMax) place = 'over';
      }
    }
    if (place === 'over') part = '';
    else part += piece.slice(from);
    return tips;
  };
}

const marks: ReadonlySet<string> = new Set('{}[],');

/** Whether an answer may begin so, before its first brace: with nothing, or with a code fence. */
function isHead(text: string): boolean {
  const line = text.lastIndexOf('\n');
  const isBare = (blank: string) => /^[ \t\r\n]*$/.test(blank);
  return isBare(text) || (line >= 0 && isBare(text.slice(line)) && /^```(json)?$/i.test(text.slice(0, line).trim()));
}

/** Whether a text is one member of an object, and of that name. */
function isMember(text: string, name?: string): boolean {
  const keys = Object.keys(parseJson(`{${text}}`) ?? {});
  return keys.length === 1 && (name === undefined || keys[0] === name);
}

/** The tip that is the second of two items of a list. Undefined: there are others, or it is none. */
function tipOf(list: string): TipDraft | undefined {
  const items = parseJson(list);
  return Array.isArray(items) && items.length === 2 ? parseTip(items[1]) : undefined;
}

function parseJson(text: string): object | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
