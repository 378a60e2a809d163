'use strict';

/**
 * Compare two texts line by line. The table `common` holds, for each pair of
 * suffixes, the length of their longest common subsequence; walking it from
 * the front yields an edit script with as few changes as possible.
 */
function diffLines(before, after) {
  const a = before.split('\n');
  const b = after.split('\n');
  const common = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));

  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      common[i][j] = a[i] === b[j]
        ? common[i + 1][j + 1] + 1
        : Math.max(common[i + 1][j], common[i][j + 1]);
    }
  }

  const script = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      script.push({ op: ' ', line: a[i] });
      i += 1;
      j += 1;
    } else if (j === b.length || (i < a.length && common[i + 1][j] >= common[i][j + 1])) {
      script.push({ op: '-', line: a[i] });   // removals are listed first
      i += 1;
    } else {
      script.push({ op: '+', line: b[j] });
      j += 1;
    }
  }
  return script;
}

/** Hide unchanged lines that are farther than `context` from any change. */
function condense(script, context = 1) {
  const near = script.map((_, at) => script
    .slice(Math.max(0, at - context), at + context + 1)
    .some((step) => step.op !== ' '));
  const output = [];
  script.forEach((step, at) => {
    if (near[at]) output.push(step.op + step.line);
    else if (at === 0 || near[at - 1]) output.push('...');
  });
  return output;
}

const monday = 'barley\nleeks\nrope\nsoap\ntwine\nvinegar\nwax';
const friday = 'barley\nleeks\nrope\ncandles\ntwine\nvinegar\nwax\nyeast';
console.log(condense(diffLines(monday, friday)).join('\n'));

module.exports = { diffLines, condense };
