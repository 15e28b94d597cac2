/** Every example in docs/guides/ holds. */
import { documents } from '../../helpers/documents.ts';
import { runDocuments } from '../../helpers/run-documents.ts';

runDocuments(
  'guides',
  documents.filter((document) => document.startsWith('docs/guides/')),
);
