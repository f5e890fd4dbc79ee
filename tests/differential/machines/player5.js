// A music player: nested and parallel states, shallow and deep history, an end.
import { assign, createMachine } from "npm:xstate@5";
export { createActor as run } from "npm:xstate@5";

const say = (what) => ({ context, event }) => console.log(what, event.type, context.spins);

export default createMachine({
  id: "player",
  context: { spins: 0, public: { volume: 5 } },
  initial: "off",
  states: {
    off: {
      entry: "darken",
      on: { power: "on", resume: "on.before" },
    },
    on: {
      type: "parallel",
      tags: ["lit"],
      entry: "light",
      exit: "fade",
      on: { power: "off", eject: "ejected" },
      states: {
        track: {
          initial: "stopped",
          states: {
            stopped: { on: { play: "playing" } },
            playing: {
              tags: ["busy"],
              initial: "normal",
              entry: ["count", "spin"],
              exit: "brake",
              on: { pause: "paused" },
              states: {
                normal: { on: { faster: "fast" } },
                fast: {
                  initial: "double",
                  entry: "whirr",
                  on: { slower: "normal" },
                  states: { double: { on: { faster: "triple" } }, triple: { entry: "howl" } },
                },
                last: { type: "history" },
                exactly: { type: "history", history: "deep" },
              },
            },
            paused: { on: { play: "playing.last", replay: "playing.exactly" } },
          },
        },
        sound: {
          initial: "loud",
          states: {
            loud: { tags: ["heard"], on: { mute: "muted", louder: { actions: "raiseVolume" } } },
            muted: { entry: "hush", on: { mute: "loud" } },
          },
        },
        before: { type: "history", history: "deep" },
      },
    },
    ejected: { type: "final", entry: "eject" },
  },
}, {
  actions: {
    count: assign({ spins: ({ context }) => context.spins + 1 }),
    raiseVolume: assign({ public: ({ context }) => ({ volume: context.public.volume + 1 }) }),
    darken: say("darken"),
    light: say("light"),
    fade: say("fade"),
    spin: say("spin"),
    brake: say("brake"),
    whirr: say("whirr"),
    howl: say("howl"),
    hush: say("hush"),
    eject: say("eject"),
  },
});

export const allowRead = () => true;
export const allowWrite = () => true;
