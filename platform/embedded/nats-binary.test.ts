import { describe, expect, it } from 'vitest';
import { candidates, isUsableVersion, parseAptSources, parseVersion } from './nats-binary.ts';

const BOOKWORM = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_CODENAME=bookworm\nID=debian\n';
const NOBLE = 'NAME="Ubuntu"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\n';

const stanzas = `# comment
Types: deb
# comment inside
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/archive.gpg

Types: deb deb-src
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
 -----END PGP PUBLIC KEY BLOCK-----

Enabled: no
Types: deb
URIs: http://other.example/
Suites: bookworm
Components: main

Types: deb-src
URIs: http://other.example/
Suites: bookworm
Components: main

Types: deb
URIs: http://flat.example/
Suites: ./
`;

const lines = `
# deb http://off.example/debian bookworm main
deb-src http://mirror.example/debian bookworm main
deb http://mirror.example/debian bookworm main contrib # comment
deb [arch=amd64,arm64 signed-by=/a.gpg] http://mirror.example/debian bookworm-updates main
  deb	[ signed-by=/b.gpg ]	http://tool.example/apt	stable	cli
deb broken
`;

describe('parseAptSources', () => {
  it('reads stanzas, with keys named or written out', () => {
    expect(parseAptSources(stanzas)).toEqual([
      {
        uris: 'http://mirror.example/debian',
        suites: 'bookworm bookworm-updates',
        components: 'main',
        rest: ['Signed-By: /usr/share/keyrings/archive.gpg'],
      },
      {
        uris: 'http://mirror.example/debian-security',
        suites: 'bookworm-security',
        components: 'main',
        rest: ['Signed-By: -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n -----END PGP PUBLIC KEY BLOCK-----'],
      },
    ]);
  });

  it('reads lines, with and without options', () => {
    const uris = 'http://mirror.example/debian';
    expect(parseAptSources(lines)).toEqual([
      { uris, suites: 'bookworm', components: 'main contrib', rest: [] },
      {
        uris,
        suites: 'bookworm-updates',
        components: 'main',
        rest: ['Architectures: amd64 arm64', 'Signed-By: /a.gpg'],
      },
      { uris: 'http://tool.example/apt', suites: 'stable', components: 'cli', rest: ['Signed-By: /b.gpg'] },
    ]);
  });

  it.each(['', '\n\n', '# nothing', 'Types: deb\n', 'deb'])('finds nothing in %j', (text) => {
    expect(parseAptSources(text)).toEqual([]);
  });
});

describe('candidates', () => {
  const suites = (text: string, osRelease: string) =>
    candidates(parseAptSources(text), osRelease).map(
      (source) => `${source.uris} ${source.suites} ${source.components}`,
    );

  it('are on Debian the newer suite of the same mirror, then its own', () => {
    const expected = [
      'http://mirror.example/debian trixie main',
      'http://mirror.example/debian bookworm bookworm-updates main',
    ];
    expect(suites(stanzas, BOOKWORM)).toEqual(expected);
    expect(suites(lines, BOOKWORM)).toEqual([
      'http://mirror.example/debian trixie main',
      'http://mirror.example/debian bookworm main contrib',
    ]);
  });

  it('are on Ubuntu its own', () => {
    const text = 'deb http://mirror.example/ubuntu noble main universe\ndeb http://tool.example/ noble-tool main';
    expect(suites(text, NOBLE)).toEqual(['http://mirror.example/ubuntu noble main universe']);
  });

  it('are none where there is no archive', () => {
    expect(suites('deb http://tool.example/apt stable cli', BOOKWORM)).toEqual([]);
    expect(suites('', '')).toEqual([]);
  });
});

describe('versions', () => {
  it.each([
    ['nats-server: v2.10.27', [2, 10, 27]],
    ['nats-server: v2.9.10', [2, 9, 10]],
    ['nats-server: v2.15.1-RC.2', [2, 15, 1]],
    ['something else', undefined],
    ['', undefined],
  ])('in %j: %j', (text, version) => {
    expect(parseVersion(text)).toEqual(version);
  });

  it.each([
    [[2, 8, 4], false],
    [[2, 9, 10], true],
    [[2, 10, 19], true],
    [[2, 10, 20], false],
    [[2, 10, 22], false],
    [[2, 10, 23], true],
    [[2, 15, 1], true],
    [[3, 0, 0], true],
    [[1, 4, 1], false],
  ] as const)('%j usable: %j', (version, usable) => {
    expect(isUsableVersion(version)).toBe(usable);
  });
});
