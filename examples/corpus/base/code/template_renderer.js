'use strict';

// 一个迷你模板引擎：{{ 名字 }} 输出变量，{{#each 列表}}…{{/each}} 循环，
// {{#if 条件}}…{{/if}} 判断。先把模板编译成树，再反复渲染。

const TAG = /\{\{\s*(#each|#if|\/each|\/if)?\s*([\w.]*)\s*\}\}/g;

function compile(source) {
  const root = { kind: 'root', body: [] };
  const stack = [root];
  let last = 0;

  for (const match of source.matchAll(TAG)) {
    const [whole, command, path] = match;
    const top = stack[stack.length - 1];
    if (match.index > last) {
      top.body.push({ kind: 'text', text: source.slice(last, match.index) });
    }
    last = match.index + whole.length;

    if (!command) {
      top.body.push({ kind: 'value', path });
    } else if (command.startsWith('#')) {
      const block = { kind: command.slice(1), path, body: [] };
      top.body.push(block);
      stack.push(block);
    } else {
      // 结束标签必须和最近打开的块同名，否则说明模板写错了。
      if (top.kind !== command.slice(1)) throw new SyntaxError(`多余的 ${whole}`);
      stack.pop();
    }
  }
  if (stack.length > 1) throw new SyntaxError(`缺少 {{/${stack.pop().kind}}}`);
  root.body.push({ kind: 'text', text: source.slice(last) });
  return (data) => render(root.body, [data]);
}

// 作用域从内向外查找，所以循环体里仍然能读到外层的变量。
function lookup(scopes, path) {
  const [head, ...rest] = path.split('.');
  const owner = scopes.find((s) => s !== null && typeof s === 'object' && head in s);
  const start = head === 'this' ? scopes[0] : owner?.[head];
  return rest.reduce((value, key) => value?.[key], start);
}

const ESCAPES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

function render(body, scopes) {
  return body.map((node) => {
    if (node.kind === 'text') return node.text;
    const value = lookup(scopes, node.path);
    if (node.kind === 'if') return value ? render(node.body, scopes) : '';
    if (node.kind === 'each') {
      return (value ?? []).map((item) => render(node.body, [item, ...scopes])).join('');
    }
    // 输出前转义，防止数据里的尖括号破坏页面结构。
    return String(value ?? '').replace(/[&<>"]/g, (ch) => ESCAPES[ch]);
  }).join('');
}

const page = compile('{{shop}}：{{#each items}}{{name}}×{{count}}{{#if fresh}}（新）{{/if}} {{/each}}');
console.log(page({ shop: '河边<面馆>', items: [{ name: '拌面', count: 2, fresh: true }, { name: '豆浆', count: 1 }] }));
