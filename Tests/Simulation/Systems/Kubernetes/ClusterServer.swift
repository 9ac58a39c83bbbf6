import QQCore
import Support

/// One API server of a simulated cluster.
final class ClusterServer: @unchecked Sendable {
    // Used on the world's thread only.
    enum Reaction: Sendable {
        /// With the server's time.
        case answer(LeaseAPI.Answer, WallTime)
        /// The head of a watch.
        case opened
    }

    let host: Host
    let api: LeaseAPI
    private unowned let cluster: KubernetesCluster
    private var world: World { cluster.world }
    /// The number of times that it was started again.
    private var starts = 0

    init(_ host: Host, _ api: LeaseAPI, _ cluster: KubernetesCluster) {
        self.host = host
        self.api = api
        self.cluster = cluster
        tick()
    }

    func restart() {
        starts += 1
        api.restart(.broken)
    }

    /// Sends bookmarks that are due.
    private func tick() {
        cluster.world.after(.seconds(20)) { [weak self] in
            guard let self else { return }
            if host.isUp, !host.isStopped { api.tick() }
            tick()
        }
    }

    /// Runs `body` after a while, unless the server has ended by then.
    private func later(_ span: Nanoseconds, _ body: @escaping () -> Void) {
        let starts = starts
        world.after(span) { [weak self] in self?.host.run { if let self, self.starts == starts, self.host.isUp { body() } } }
    }

    // MARK: Requests

    /// Takes a request that has come.
    func take(_ request: LeaseAPI.Request, _ reply: Reply<Reaction>) {
        if isRefused() {
            // Before any work.
            return send(outcome(of: request, from: reply.caller, with: .tooManyRequests()), reply)
        }
        let isWrite = request.method != "GET"
        let span = latency()
        if isWrite {
            let starts = starts
            // A server that ends can have passed the write on.
            world.after(span) { [weak self] in
                guard let self, self.starts != starts || !self.host.isUp, cluster.random.chance(500_000) else { return }
                cluster.carryOut(.init(request: request, server: self, process: reply.caller), after: 0)
            }
        }
        later(span) { [weak self] in self?.carryOut(request, reply, isWrite: isWrite) }
    }

    private func latency() -> Nanoseconds { cluster.random.spread(.microseconds(100)...(.milliseconds(15))) }

    private func isRefused() -> Bool { cluster.tooManyRequests.contains { cluster.random.chance($0) } }

    private func carryOut(_ request: LeaseAPI.Request, _ reply: Reply<Reaction>, isWrite: Bool) {
        let write = KubernetesCluster.LateWrite(request: request, server: self, process: reply.caller)
        if cluster.badAnswers.contains(where: { cluster.random.chance($0) }) {
            var isApplied = false
            if isWrite {
                switch cluster.random.below(3) {
                case 0: isApplied = true
                case 1: cluster.carryOut(write, after: cluster.random.spread(.milliseconds(1)...(.seconds(4))))
                default: break
                }
            }
            return suffer(request, reply, isApplied: isApplied)
        }
        if cluster.isHanging, isWrite { cluster.keep(write) }
        send(cluster.handle(request, at: self, by: reply.caller), reply)
    }

    /// Answers badly.
    private func suffer(_ request: LeaseAPI.Request, _ reply: Reply<Reaction>, isApplied: Bool) {
        let application: LeaseAPI.Application = isApplied ? .yes : .no
        let after = Duration.nanoseconds(cluster.random.spread(.milliseconds(1)...(.seconds(6))))
        let fault: LeaseAPI.Fault =
            switch cluster.random.below(5) {
            case 0: .timeout(applied: application, after: after)
            case 1: .unavailable(applied: application, after: after)
            case 2: .closed(applied: application, after: after)
            case 3: .noAnswer(applied: application)
            default: .status(500, message: "etcdserver: leader changed", applied: application)
            }
        send(outcome(of: request, from: reply.caller, with: fault), reply)
    }

    private func outcome(of request: LeaseAPI.Request, from caller: SimProcess, with fault: LeaseAPI.Fault) -> LeaseAPI.Outcome {
        api.fail(Set(LeaseAPI.Verb.allCases), with: fault)
        // A request that is not permitted does not get as far as the fault.
        defer { api.clearFaults() }
        return cluster.handle(request, at: self, by: caller)
    }

    private func send(_ outcome: LeaseAPI.Outcome, _ reply: Reply<Reaction>) {
        switch outcome {
        case .answer(let answer): later(latency() + answer.after.nanoseconds) { [weak self] in self?.send(answer, reply) }
        case .silence(.closed(let after)): later(after.nanoseconds) { reply.hangUp() }
        case .silence(.forever), .stream: break
        }
    }

    private func send(_ answer: LeaseAPI.Answer, _ reply: Reply<Reaction>) {
        reply.send(.answer(answer, WallTime(seconds: cluster.wall().seconds)))
    }

    // MARK: Watches

    /// What a watch tells its client.
    struct Listener: Sendable {
        var event: @Sendable (JSONValue) -> Void
        var end: @Sendable (LeaseAPI.Watch.End) -> Void
    }

    /// Takes a request for a watch, whose events go through `pipe`.
    func watch(_ request: LeaseAPI.Request, _ reply: Reply<Reaction>, _ pipe: Pipe, _ listener: Listener) {
        if isRefused() || cluster.badAnswers.contains(where: { cluster.random.chance($0) }) {
            return later(latency()) { reply.hangUp() }
        }
        switch cluster.handle(request, at: self, by: reply.caller) {
        case .stream(let watch, _):
            guard pipe.isOpenAtServer else { return watch.cancel() }
            pipe.onServerBreak = { watch.cancel() }
            reply.send(.opened)
            watch.onChange { [weak self] in self?.host.run { Self.pass(watch, pipe, listener) } }
        case let outcome: send(outcome, reply)
        }
    }

    private static func pass(_ watch: LeaseAPI.Watch, _ pipe: Pipe, _ listener: Listener) {
        for event in watch.take() { pipe.sendToProcess { listener.event(event) } }
        guard let end = watch.end, pipe.isOpenAtServer else { return }
        pipe.sendToProcess { listener.end(end) }
        pipe.closeAtServer()
    }
}
