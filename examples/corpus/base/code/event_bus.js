'use strict';

/**
 * A small publish/subscribe hub. Topics are dotted paths, and a subscriber may
 * use "*" for exactly one segment or a final "**" for everything below.
 */
class EventBus {
  #listeners = new Set();

  on(pattern, handler, { once = false } = {}) {
    const entry = { segments: pattern.split('.'), handler, once };
    this.#listeners.add(entry);
    // The caller keeps this function and invokes it to unsubscribe.
    return () => this.#listeners.delete(entry);
  }

  once(pattern, handler) {
    return this.on(pattern, handler, { once: true });
  }

  /** Deliver to all matching listeners; failures are collected, not thrown. */
  emit(topic, payload) {
    const segments = topic.split('.');
    const failures = [];
    let delivered = 0;
    // Copying the set lets a handler subscribe or unsubscribe while we iterate.
    for (const entry of [...this.#listeners]) {
      if (!matches(entry.segments, segments)) continue;
      if (entry.once) this.#listeners.delete(entry);
      try {
        entry.handler(payload, topic);
        delivered += 1;
      } catch (error) {
        failures.push(error);
      }
    }
    return { delivered, failures };
  }
}

function matches(pattern, topic) {
  for (let i = 0; i < pattern.length; i += 1) {
    if (pattern[i] === '**') return i < topic.length;
    if (i >= topic.length) return false;
    if (pattern[i] !== '*' && pattern[i] !== topic[i]) return false;
  }
  return pattern.length === topic.length;
}

const bus = new EventBus();
const stop = bus.on('greenhouse.*.temperature', (v, t) => console.log(t, v));
bus.on('greenhouse.**', () => { throw new Error('logger is offline'); });
bus.once('greenhouse.door', (state) => console.log('door is', state));

console.log(bus.emit('greenhouse.north.temperature', 21.5).failures.length, 'failure');
bus.emit('greenhouse.door', 'open');
bus.emit('greenhouse.door', 'shut');
stop();
console.log(bus.emit('greenhouse.south.temperature', 19));

module.exports = { EventBus };
