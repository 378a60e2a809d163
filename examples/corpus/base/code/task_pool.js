'use strict';

// Runs asynchronous jobs with a ceiling on how many are in flight at once.
// A failed job is retried with a growing pause before it is given up.

const pause = (ms) => new Promise((wake) => setTimeout(wake, ms));

async function attempt(job, { retries, baseDelay }) {
  for (let round = 0; ; round += 1) {
    try {
      return await job(round);
    } catch (error) {
      if (round >= retries) throw error;
      await pause(baseDelay * 2 ** round);
    }
  }
}

/**
 * @param {Array<(round: number) => Promise<unknown>>} jobs
 * @returns results in the order of the jobs, shaped like Promise.allSettled
 */
async function runPool(jobs, { limit = 4, retries = 0, baseDelay = 5 } = {}) {
  if (!Number.isInteger(limit) || limit < 1) {
    throw new RangeError('limit must be a positive integer');
  }
  const results = new Array(jobs.length);
  let next = 0;

  async function worker() {
    // JavaScript runs one callback at a time, so reading and bumping `next`
    // in a single expression cannot be interrupted by another worker.
    while (next < jobs.length) {
      const mine = next++;
      try {
        const value = await attempt(jobs[mine], { retries, baseDelay });
        results[mine] = { status: 'fulfilled', value };
      } catch (reason) {
        results[mine] = { status: 'rejected', reason };
      }
    }
  }

  const crew = Array.from({ length: Math.min(limit, jobs.length) }, worker);
  await Promise.all(crew);
  return results;
}

async function demo() {
  let active = 0;
  let peak = 0;
  const jobs = [30, 10, 20, 5, 15].map((ms, index) => async (round) => {
    active += 1;
    peak = Math.max(peak, active);
    await pause(ms);
    active -= 1;
    if (index === 1 && round === 0) throw new Error('first try always fails');
    if (index === 3) throw new Error('hopeless');
    return `job ${index} after round ${round}`;
  });
  const outcome = await runPool(jobs, { limit: 2, retries: 1 });
  outcome.forEach((r) => console.log(r.status, r.value ?? r.reason.message));
  console.log('never more than', peak, 'at a time');
}

demo();
