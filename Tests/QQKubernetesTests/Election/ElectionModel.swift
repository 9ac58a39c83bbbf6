import QQCore
import Support
import Synchronization

@testable import QQKubernetes

/// Contenders for one lease, driven at random over the store: requests that interleave at every point, faults, writes that are carried out late, processes that
/// are stopped, wall clocks that are stepped. After each step at most one of them may count the lease as its own.
final class ElectionModel: @unchecked Sendable {
    struct Broken: Error, CustomStringConvertible { var description: String }

    struct Options: Sendable {
        /// Leaders of client-go take part.
        var hasClientGo = false
        /// Something clears the leases of `qq`, as a client-go leader that was cut off does.
        var wipes = false
        var steps = 150
    }

    private final class Node {
        let name: String
        let identity: String
        let qq: KubernetesCoordinator
        let client: StoreClient
        let ttl: Duration
        let skew: Skew
        var grant: Grant?
        var isBusy = false

        init(
            _ name: String, _ identity: String, _ qq: KubernetesCoordinator, _ client: StoreClient, ttl: Duration, skew: Skew
        ) {
            (self.name, self.identity, self.qq, self.client, self.ttl, self.skew) = (name, identity, qq, client, ttl, skew)
        }
    }

    final class Skew: Sendable {
        private let state = Mutex(Duration.zero)
        var value: Duration {
            get { state.withLock { $0 } }
            set { state.withLock { $0 = newValue } }
        }
    }

    /// client-go's elector, by the rules of its source.
    private final class Elector {
        let identity: String
        var observed: LeaseRecord?
        var observedAt = BootInstant(nanoseconds: 0)
        /// The last renewal of its term.
        var renewedAt: BootInstant?
        var isBusy = false
        static let deadline: Duration = .seconds(4)
        static let duration: Int32 = 6

        init(_ identity: String) { self.identity = identity }

        func leads(at now: BootInstant) -> Bool { renewedAt.map { now < $0 + Self.deadline } ?? false }
    }

    private let bench: Bench
    private let options: Options
    private var random: Random
    private var nodes: [Node] = []
    private var electors: [Elector] = []
    private var log: [String] = []
    private var broken: Broken?
    private var depth = 0
    /// How often a lease was granted: a model in which nobody ever leads proves nothing.
    private(set) var grants = 0
    private(set) var renewals = 0

    init(seed: UInt64, _ options: Options) throws {
        bench = Bench()
        self.options = options
        random = Random(state: seed)
        for index in 0..<3 {
            let client = StoreClient(bench.api, as: .admin, clock: bench.clock)
            let (skew, clock) = (Skew(), bench.clock)
            let qq = KubernetesCoordinator(
                server: try ServerURL.parse("k8s://test/team", as: [testSystem]), api: client, namespace: "team", clock: clock,
                executor: globalConcurrentExecutor, requestTimeout: .seconds(2), wall: { clock.wall + skew.value })
            let ttl = [Duration.seconds(1), .seconds(2), .seconds(3), .seconds(6)][random.below(4)]
            // Two of them share an identity.
            let node = Node("n\(index)", index == 2 ? "z" : "same", qq, client, ttl: ttl, skew: skew)
            nodes.append(node)
            client.set(
                before: { [unowned self] _ in await self.meanwhile("before a request of n\(index)") },
                after: { [unowned self] _ in await self.meanwhile("after a request of n\(index)") })
        }
        if options.hasClientGo { electors = [Elector("go1"), Elector("go2")] }
    }

    func run() async throws {
        for _ in 0..<options.steps {
            await step()
            if let broken { throw broken }
        }
    }

    // MARK: What happens

    private func meanwhile(_ what: String) async {
        check(what)
        guard depth < 3, random.below(10) < 3 else { return }
        depth += 1
        await step()
        depth -= 1
        check(what)
    }

    private func step() async {
        // Other tests share the threads.
        await Task.yield()
        switch random.below(20) {
        case 0..<11: await act(nodes[random.below(nodes.count)])
        case 11..<13: for elector in electors { elect(elector) }
        case 13: pass(.milliseconds(random.below(8000)))
        case 14: bench.store.edit("web", labels: ["l": "\(random.below(1000))"])
        case 15: bench.store.applyPending { [unowned self] _ in random.below(2) == 0 }
        case 16:
            let node = nodes[random.below(nodes.count)]
            node.skew.value = [.zero, .seconds(3600), .seconds(-3600), .milliseconds(-1000)][random.below(4)]
            note("\(node.name)'s wall clock is off by \(node.skew.value)")
        case 17: if options.wipes { wipe() }
        default: pass(.milliseconds(random.below(options.hasClientGo ? 300 : 600)))
        }
        check("a step")
    }

    private func pass(_ time: Duration) {
        bench.clock.pass(time)
        note("\(time) pass")
    }

    private func wipe() {
        guard let lease = bench.store.lease("web"), var object = LeaseObject(lease), object.mark != nil else { return }
        var record = object.record
        (record.holder, record.duration) = (nil, 1)
        record.renewTime = LeaseRecord.text(bench.clock.wall)
        record.acquireTime = record.renewTime
        object.write(record)
        try? bench.store.put(object.body)
        note("the lease is wiped")
    }

    private func maybeFail() {
        guard random.below(6) == 0 else { return }
        let applied: LeaseAPI.Application = [.no, .yes, .later(nil)][random.below(3)]
        let after = Duration.milliseconds(random.below(3000))
        let fault: LeaseAPI.Fault =
            switch random.below(7) {
            case 0: .timeout(applied: applied, after: after)
            case 1: .closed(applied: applied, after: after)
            case 2: .noAnswer(applied: applied)
            case 3: .unavailable(applied: applied, after: after)
            case 4: .slow(after)
            case 5: .conflict
            default: .tooManyRequests()
            }
        bench.api.fail([[.update, .create], [.get], [.get, .update]][random.below(3)], skip: random.below(2), with: fault)
        note("fault: \(fault)")
    }

    // MARK: qq, as a lease session drives it

    private func act(_ node: Node) async {
        guard !node.isBusy else { return }
        node.isBusy = true
        defer { node.isBusy = false }
        maybeFail()
        let now = bench.clock.now()
        if let grant = node.grant, now >= grant.deadline {
            note("\(node.name) has lost it: expired")
            node.grant = nil
        }
        if let grant = node.grant {
            if random.below(6) == 0 { await release(node, grant) } else { await renew(node, grant) }
        } else {
            await acquire(node)
        }
    }

    private func acquire(_ node: Node) async {
        let wanted = AcquireRequest(name: "web", identity: node.identity, ttl: node.ttl, wantsLivenessLock: true)
        let sentAt = bench.clock.now()
        do throws(CoordinationError) {
            switch try await node.qq.acquire(wanted) {
            case .granted(var grant, _):
                grant.deadline = min(grant.deadline, sentAt + grant.ttl)
                if bench.clock.now() >= grant.deadline { return await release(node, grant) }
                grants += 1
                node.grant = grant
                note("\(node.name) leads: token \(grant.token.map { "\($0)" } ?? "-"), until \(grant.deadline.nanoseconds)")
                check("a grant")
            case .refused(let state): note("\(node.name) is refused: \(state.phase) \(state.leader ?? "-") \(state.refusal ?? "")")
            }
        } catch {
            note("\(node.name) cannot acquire: \(error)")
            if error.isUncertain, random.below(2) == 0, let found = try? await node.qq.read("web"), found.phase == .held,
                found.leader == node.identity, found.isOwn != false
            {
                let grant = Grant(
                    name: "web", identity: node.identity, token: found.token, termID: found.termID, ttl: node.ttl,
                    deadline: sentAt + node.ttl,
                    acquiredAt: .now(), expiresAt: .now())
                await release(node, grant)
            } else if random.below(2) == 0 {
                _ = await node.qq.leaveQueue(wanted)
            }
        }
    }

    private func renew(_ node: Node, _ grant: Grant) async {
        let sentAt = bench.clock.now()
        do throws(CoordinationError) {
            let answer = try await node.qq.renew(grant)
            guard bench.clock.now() < grant.deadline else {
                node.grant = nil
                return note("\(node.name) has lost it: the answer came late")
            }
            switch answer {
            case .renewed(var extended):
                extended.deadline = max(min(sentAt + extended.ttl, extended.endsBy ?? .distantFuture), grant.deadline)
                node.grant = extended
                renewals += 1
                note("\(node.name) has renewed until \(extended.deadline.nanoseconds)")
                if extended.token != grant.token { broken = Broken(description: "the token has changed\n" + log.joined(separator: "\n")) }
            case .lost(let state):
                node.grant = nil
                note("\(node.name) has lost it: \(state.phase) \(state.leader ?? "-")")
            }
        } catch { note("\(node.name) cannot renew: \(error)") }
    }

    private func release(_ node: Node, _ grant: Grant) async {
        // The work has ended before.
        node.grant = nil
        do throws(CoordinationError) { note("\(node.name) releases: \(try await node.qq.release(grant))") } catch {
            note("\(node.name) cannot release: \(error)")
        }
    }

    // MARK: client-go

    private func elect(_ elector: Elector) {
        let now = bench.clock.now()
        guard let object = bench.store.lease("web").flatMap({ LeaseObject($0) }) else { return }
        let record = object.record
        if elector.observed.map({ !record.looksSame(as: $0) }) ?? true {
            (elector.observed, elector.observedAt) = (record, now)
        }
        var wanted = record
        if record.holder == elector.identity {
            guard elector.leads(at: now) else {
                elector.renewedAt = nil
                return
            }
            wanted.renewTime = LeaseRecord.text(bench.clock.wall)
        } else {
            // It leads on until its deadline, whatever it reads.
            if elector.leads(at: now) { return }
            if record.holder != nil, let ttl = record.ttl, elector.observedAt + ttl > now { return }
            wanted = record.taken(by: elector.identity, for: Elector.duration, at: bench.clock.wall)
        }
        var renewed = object
        renewed.write(wanted)
        try? bench.store.put(renewed.body)
        elector.renewedAt = now
        (elector.observed, elector.observedAt) = (wanted, now)
        note("\(elector.identity) leads until \((now + Elector.deadline).nanoseconds)")
    }

    // MARK: The promise

    private func check(_ when: String) {
        let now = bench.clock.now()
        let leaders =
            nodes.filter { $0.grant.map { now < $0.deadline } ?? false }.map(\.name) + electors.filter { $0.leads(at: now) }.map(\.identity)
        guard leaders.count > 1, broken == nil else { return }
        let lease = bench.store.lease("web").map { JSONWriter.string($0["spec"] ?? .null) } ?? "-"
        broken = Broken(description: "\(leaders) lead together, at \(when)\n" + log.suffix(60).joined(separator: "\n") + "\n" + lease)
    }

    private func note(_ text: String) { log.append("\(bench.clock.now().nanoseconds / 1_000_000): \(text)") }
}

/// SplitMix64, so that a seed repeats a run.
struct Random: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    mutating func below(_ count: Int) -> Int { Int(next() % UInt64(count)) }
}
