/** Every example in docs/reference/ holds. */
import { documents } from '../../helpers/documents.ts';
import { runDocuments } from '../../helpers/run-documents.ts';

runDocuments(
  'reference',
  documents.filter((document) => document.startsWith('docs/reference/')),
);
