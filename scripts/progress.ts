/** How far long work has come. */
export interface Standing {
  readonly done: number;
  /** Undefined: nobody knows. An estimate: more than this may be done. */
  readonly inAll: number | undefined;
  /** Since the process began. */
  readonly doneByUs: number;
  readonly secondsOfUs: number;
}

const width = 30;

/** For example `███████░░░  42 %   210,000 of 500,000 events   31,400/s   9 s left`. */
export function progressLine({ done, inAll, doneByUs, secondsOfUs }: Standing, unit: string): string {
  const perSecond = secondsOfUs > 0 ? doneByUs / secondsOfUs : 0;
  const rate = `${number(perSecond)}/s`;
  if (inAll === undefined || inAll === 0) return `${number(done)} ${unit}   ${rate}`;
  const share = Math.min(1, done / inAll);
  const bar = '█'.repeat(Math.floor(share * width)).padEnd(width, '░');
  const left = perSecond > 0 ? `   ${duration(Math.max(0, inAll - done) / perSecond)} left` : '';
  return `${bar}  ${Math.floor(share * 100)} %   ${number(done)} of about ${number(inAll)} ${unit}   ${rate}${left}`;
}

const number = (value: number): string => Math.round(value).toLocaleString('en');

function duration(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  if (minutes === 0) return `${Math.ceil(seconds)} s`;
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export interface ProgressOutput {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

const redrawMs = 100;
const lineMs = 5_000;

/** Shows one line that changes on a terminal, and a new line every few seconds elsewhere. */
export function createProgress(output: ProgressOutput, clock: () => number) {
  let shownAt = Number.NEGATIVE_INFINITY;
  let last = '';
  const clear = '\r\u001b[K';
  return {
    show(line: string) {
      last = line;
      if (clock() - shownAt < (output.isTTY ? redrawMs : lineMs)) return;
      shownAt = clock();
      output.write(output.isTTY ? `${clear}${line.slice(0, (output.columns ?? 120) - 1)}` : `${line}\n`);
    },
    /** Leaves the last line standing. */
    end() {
      if (last !== '') output.write(output.isTTY ? `${clear}${last}\n` : `${last}\n`);
      last = '';
    },
  };
}
