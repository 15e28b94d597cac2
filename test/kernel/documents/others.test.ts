/** Every example in the README and in the other documents at the top of the project and of docs/ holds. */
import { documents } from '../../helpers/documents.ts';
import { runDocuments } from '../../helpers/run-documents.ts';

runDocuments(
  'others',
  documents.filter((document) => !/^docs\/(?:guides|reference)\//.test(document)),
);
