// The handlers that Restate calls: nothing, three steps, and one that tells when its first line ran.

// Restate's SDK uses it; Node 20 does not have it.
Promise.withResolvers ??= function () {
  const parts = {};
  parts.promise = new this((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
};
const restate = await import("@restatedev/restate-sdk");

const now = () => performance.timeOrigin + performance.now();

const bench = restate.service({
  name: "bench",
  handlers: {
    no_op: async () => {},
    three: async (ctx) => {
      await ctx.run("a", () => 1);
      await ctx.run("b", () => 2);
      return await ctx.run("c", () => 3);
    },
    hello: async () => now(),
  },
});

restate.serve({ services: [bench], port: Number(process.argv[2]) });
