import QQCore
import Support

/// An elector of client-go as a contender: the step machine of `ClientGoElector`, and the client below it, which repeats what a server asks it to repeat.
///
/// It leads by right from the moment before the write that contenders can see, for as long as the lease lasts: until then nobody else may. It believes in it for
/// longer at times, which is its own weakness (`docs/kubernetes.md`). So is a release over another's lease; this one does not do that, because nothing that a
/// `qq` does could then keep two from leading.
final class ClientGoPeer: @unchecked Sendable {
    // Used on the world's thread only.
    private static let reads = RequestKind("read the lease", writes: false)
    private static let writes = RequestKind("write the lease", writes: true, alone: true)

    private let process: SimProcess
    private let cluster: KubernetesCluster
    private let settings: ClientGoElector.Settings
    private var machine: ClientGoElector
    private var place: Int
    /// When its program is told to end.
    private let stopAt: BootInstant
    private var isStopping = false
    private var term: Term?
    /// The second of the last renewal that contenders could see.
    private var shownSecond: Substring?

    static func start(_ context: PeerContext, releases: Bool) {
        guard let cluster = context.server as? KubernetesCluster else { return context.process.end() }
        let peer = ClientGoPeer(context, cluster, releases: releases)
        context.process.onEnd { peer.endTerm() }
        context.process.start { [process = context.process] in
            await peer.run()
            process.post { process.end() }
        }
    }

    private init(_ context: PeerContext, _ cluster: KubernetesCluster, releases: Bool) {
        let process = context.process
        self.process = process
        self.cluster = cluster
        var settings = ClientGoElector.Settings(
            PeerLease(namespace: KubernetesCluster.namespace, name: context.election), identity: context.identity)
        // As client-go's defaults: lease, deadline and pause are as 15 to 10 to 2. Shorter ones have renewals in one second.
        settings.leaseDuration = max(context.times.ttl, .seconds(5))
        settings.renewDeadline = settings.leaseDuration * 2 / 3
        settings.retryPeriod = settings.leaseDuration * 2 / 15
        settings.releasesOnCancel = releases
        settings.seed = process.random.next()
        self.settings = settings
        machine = ClientGoElector(settings)
        place = Int(process.random.below(Int64(cluster.servers.count)))
        let longest = settings.leaseDuration.nanoseconds * 12
        stopAt = process.host.boot + .nanoseconds(process.random.spread(.seconds(1)...longest))
    }

    private var time: PeerTime { PeerTime(boot: process.host.boot, wall: process.host.wall) }

    private func run() async {
        process.world.note("elects as client-go does", process)
        var step = machine.start(at: time)
        while !process.isDead {
            switch step {
            case .call(let call):
                let sentAt = process.host.boot
                let outcome = await ask(call)
                guard !process.isDead else { return }
                let answered = machine.answered(outcome, at: time)
                follow(call, outcome, sentAt: sentAt)
                if machine.isReleasing, call.method == .get, !isOurs(outcome) { return endTerm() }
                step = answered
            case .sleep(let until):
                try? await process.clock.sleep(until: isStopping ? until : min(until, stopAt))
                guard !process.isDead else { return }
                step = process.host.boot < until && !isStopping ? stop() : machine.woke(at: time)
            case .ended: return endTerm()
            }
            if machine.isReleasing || !machine.leads { endTerm() }
        }
    }

    /// Its program ends it. It releases only a lease that is its own by right.
    private func stop() -> PeerStep {
        isStopping = true
        process.world.note("its program ends it", process)
        guard let term, process.host.boot < term.deadline else { return .ended }
        return machine.cancelled(at: time)
    }

    private func isOurs(_ outcome: PeerOutcome) -> Bool {
        guard case .answer(200, let lease) = outcome else { return true }
        return lease["spec"]?["holderIdentity"]?.stringValue == settings.identity
    }

    // MARK: What it may take for its own

    private func follow(_ call: PeerCall, _ outcome: PeerOutcome, sentAt: BootInstant) {
        guard call.method != .get, machine.leads, !machine.isReleasing, case .answer(200...299, let lease) = outcome else { return }
        // Contenders of client-go see whole seconds, and count from when they saw the last one that is new.
        let second = call.body?["spec"]?["renewTime"]?.stringValue?.prefix(19)
        let deadline = sentAt + settings.leaseDuration
        guard process.host.boot < deadline else { return }
        if let term {
            if second != shownSecond { process.world.checker.extended(term, to: deadline) }
        } else {
            // It has no token: any number between the versions before and after its write stands for it.
            let version = lease["metadata"]?["resourceVersion"]?.stringValue.flatMap { UInt64($0) } ?? 1
            term = process.world.checker.elected(
                process, identity: settings.identity, token: FencingToken(max(version, 1) - 1), deadline: deadline,
                margin: settings.leaseDuration / 20)
        }
        shownSecond = second
    }

    private func endTerm() {
        guard let ended = term else { return }
        term = nil
        process.world.checker.ended(ended)
    }

    // MARK: Its client

    /// As client-go: 429 and 5xx with Retry-After are repeated, and a read after a broken connection.
    private func ask(_ call: PeerCall) async -> PeerOutcome {
        let target = call.target.split(separator: "?", maxSplits: 1)
        let query = target.count > 1 ? target[1].split(separator: "=", maxSplits: 1).map(String.init) : []
        let raw = LeaseAPI.Request(
            call.method.rawValue, String(target[0]), query: query.count == 2 ? [(name: query[0], value: query[1])] : [],
            headers: [("content-type", "application/json"), ("user-agent", "client-go")],
            body: call.body.map { JSONWriter.bytes($0) } ?? [],
            certificate: .admin)
        for attempt in 0...10 {
            let left = call.deadline.map { $0.duration(since: process.host.boot) } ?? .seconds(60)
            guard left > .zero, !process.isDead else { return .failed }
            let server = cluster.servers[place]
            var pause: Duration
            do throws(CallFailure) {
                let kind = call.method == .get ? Self.reads : Self.writes
                let reaction = try await process.call(kind, at: server.host, patience: left) { server.take(raw, $0) }
                guard case .answer(let answer, _) = reaction else { return .failed }
                let asked = answer.headers.first { $0.name == "retry-after" }.flatMap { Int64($0.value) }
                guard attempt < 10, answer.status == 429 || answer.status >= 500, let asked else {
                    return .answer(status: answer.status, body: answer.json ?? .null)
                }
                pause = .seconds(asked)
            } catch {
                place = Int(process.random.below(Int64(cluster.servers.count)))
                guard attempt < 10, error.kind == .broken, call.method == .get else { return .failed }
                pause = .seconds(1)
            }
            pause = min(pause, left)
            try? await process.clock.sleep(until: process.host.boot + pause)
        }
        return .failed
    }
}
