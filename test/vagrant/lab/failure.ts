/** Every test's failure is reported; what fails before a test is by `setUp`. */
import { beforeEach } from 'vitest';
import { report } from './report.ts';

beforeEach(({ onTestFailed, task }) => {
  onTestFailed(() => report(task.fullName));
}, 0);
