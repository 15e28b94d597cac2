/** The text of a file as a desired state, and its schema. Pure. */
import { checkDocument, jsonSchema, throwProblems } from '../config/document.ts';
import type { ConfigProblem } from '../errors.ts';
import { defaultsSection, resolveServices, servicesSection } from './services-section.ts';
import type { DesiredState } from './state.ts';

const sections = { defaults: defaultsSection, services: servicesSection };

/**
 * Reads a description of the desired state. Pure; `file` is only for messages.
 * Throws CONFIG_INVALID, whose `problems` lists everything that is wrong.
 */
export function parseState(text: string, file = 'state.yaml'): DesiredState {
  const document = checkDocument(text, file, sections);
  const problems: ConfigProblem[] = [];
  const services = resolveServices(document.values, (path, message) => problems.push(document.problem(path, message)));
  throwProblems(problems);
  return { services };
}

/** The JSON Schema of what `parseState` reads. */
export function stateSchema(): object {
  return jsonSchema(sections);
}
