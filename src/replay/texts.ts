/** What a pcapng input's interfaces say of themselves, for the interfaces of the output that stand for them. */
import type { CaptureInterface } from '../capture/index.js';

export interface InterfaceTexts {
  readonly name: string;
  readonly description: string;
  readonly comment: string;
}

/**
 * @param name of the output's interface
 * @param faces of the input, whose packets it gets; their names go into the description where they are others
 */
export function textsOf(name: string, faces: readonly CaptureInterface[]): InterfaceTexts {
  const distinct = (texts: readonly string[], separator: string): string =>
    [...new Set(texts)].filter((text) => text !== '').join(separator);
  const own = (face: CaptureInterface): string =>
    distinct(face.name === name ? [face.description] : [face.name, face.description], ': ');
  return {
    name,
    description: distinct(faces.map(own), ', '),
    comment: distinct(
      faces.map((face) => face.comment),
      '\n',
    ),
  };
}
