/** Reads server-sent events out of text that comes in pieces. Both give the data of the events that have ended. */
export interface EventReader {
  read(piece: string): readonly string[];
  /** Nothing more comes: what stands there is the last event. */
  end(): readonly string[];
}

/** Lines may end in any of the three ways; comments, and fields other than data, are left out. */
export function createEventReader(): EventReader {
  let line = '';
  let data: string[] = [];
  let events: string[] = [];
  let endedInReturn = false;

  const endEvent = () => {
    if (data.length > 0) events.push(data.join('\n'));
    data = [];
  };
  const endLine = () => {
    if (line === '') endEvent();
    else if (line.startsWith('data:')) data.push(line.slice(line[5] === ' ' ? 6 : 5));
    line = '';
  };
  const taken = () => {
    const ended = events;
    events = [];
    return ended;
  };

  return {
    read: (piece) => {
      if (piece === '') return [];
      let from = endedInReturn && piece.startsWith('\n') ? 1 : 0; // the other half of a line's end
      endedInReturn = piece.endsWith('\r');
      for (const { index, 0: end } of piece.matchAll(/\r\n|\r|\n/g)) {
        if (index < from) continue;
        line += piece.slice(from, index);
        endLine();
        from = index + end.length;
      }
      line += piece.slice(from);
      return taken();
    },
    end: () => {
      if (line !== '') endLine();
      endEvent();
      return taken();
    },
  };
}
