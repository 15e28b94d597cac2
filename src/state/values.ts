/** Values that several sections of a file share. */
import { z } from 'zod';
import { quote } from '../base/quote.ts';
import { parseDuration } from '../config/duration.ts';

/** To seconds. */
export const duration: z.ZodType<number, string | number> = z
  .union([z.string().meta({ pattern: '^[0-9]{1,10}[smhd]?$' }), z.number()], {
    error: ({ input }) => (input === undefined ? 'it is missing' : 'a duration is written 300s, 15m, 2h or as seconds'),
  })
  .transform((value, context) => {
    const seconds = parseDuration(value);
    if (seconds !== undefined) return seconds;
    context.addIssue({
      code: 'custom',
      message: `${quote(value)} is not a duration; write 300s, 15m, 2h or seconds`,
    });
    return z.NEVER;
  })
  .meta({ description: 'Seconds, or a number with s, m, h or d' });

/** To seconds, from 1 on. */
export function durationUpTo(mostSeconds: number): z.ZodType<number, string | number> {
  return duration.refine((seconds) => seconds >= 1 && seconds <= mostSeconds, {
    error: `a duration from 1s to ${mostSeconds}s`,
  });
}

/** "20%", to a number from 0 to 1. */
export const share: z.ZodType<number, string> = z
  .string({ error: 'a share is written 20%' })
  .meta({ pattern: '^[0-9]{1,3}(\\.[0-9]{1,3})?%$' })
  .transform((text, context) => {
    const percent = Number(/^(\d{1,3}(?:\.\d{1,3})?)%$/.exec(text)?.[1] ?? Number.NaN);
    if (percent <= 100) return percent / 100;
    context.addIssue({ code: 'custom', message: `${quote(text)} is not a share from 0% to 100%` });
    return z.NEVER;
  });

/** A whole number. Editors are told of its range, which is checked where the noun is. */
export function whole(minimum: number, maximum: number, description: string): z.ZodOptional<z.ZodNumber> {
  return z.number().meta({ type: 'integer', minimum, maximum }).optional().meta({ description });
}
