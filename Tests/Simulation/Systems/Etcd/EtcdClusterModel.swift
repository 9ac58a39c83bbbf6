import QQCore
import QQEtcd
import Support

/// The members of a cluster of etcd: `EtcdStore`, which answers as the recordings of real servers do, in virtual time, on machines that can be cut off, paused
/// and restarted. Raft is taken as a whole: what a majority has agreed on is in the store at once, and a member answers after the time that this takes.
final class EtcdClusterModel: SimulatedServer, @unchecked Sendable {
    // Used on the world's thread only.
    let hosts: [Host]
    let world: World
    var store: EtcdStore
    var random: Generator
    let ttl: Nanoseconds
    /// The store's time: that of the leader's clock.
    private var time: Nanoseconds = 0
    private(set) var lastLook: Nanoseconds = 0
    let terms: EtcdTerms
    /// Programs of others that contend, with their leases.
    var foreign: [(process: SimProcess, lease: Int64)] = []
    /// Members that cannot reach the others, whatever the reason.
    private var away: Set<Int> = []
    /// Since when members know no leader, in world time. They notice after a time-out.
    private var leaderlessSince: [Nanoseconds?]
    /// Counts the starts of each member's program: what an earlier one had under way is not answered any more.
    private var starts: [Int]
    /// Faults under way, counted: by member, and for all of them.
    var isolations: [Int]
    var lags: [Nanoseconds]
    var losses = 0
    var expiryFaults = 0
    var silences = 0
    var fullness = 0
    var lateWrites = 0
    /// A process whose watches are stuck.
    var muted: SimProcess?
    /// Machines of contenders that are cut off.
    var cutBy: [(argument: UInt64, client: Host)] = []
    /// Faults by which all members are slow until a machine is cut off from them.
    var slow: [(argument: UInt64, isCutOff: Bool)] = []
    var formerLeader: (member: Int, argument: UInt64)?
    /// The revision up to which all is discarded.
    private var compacted: Int64 = 0
    private(set) var streams: [EtcdStreamModel] = []
    /// In words, for the history: who leads.
    private var leaderShown: Int?

    /// The most revisions that are kept. They cost memory, and the model time.
    private static let mostRevisions: Int64 = 100
    private static let keptRevisions: Int64 = 40
    /// How long members take a leader that they do not hear for theirs.
    private static let believed: Nanoseconds = .milliseconds(1_500)

    init(_ world: World, _ setting: ServerSetting) {
        self.world = world
        ttl = setting.times.ttl.nanoseconds
        terms = EtcdTerms(setting.election)
        var random = world.generator(.server)
        let count = random.element([1, 3, 3, 3, 5]) ?? 3
        hosts = (1...count).map { world.makeHost("etcd\($0)", drift: setting.drift(&random)) }
        store = EtcdStore(random.chance(500_000) ? .v34 : .v36, members: count, leader: Int(random.below(Int64(count))))
        leaderlessSince = Array(repeating: nil, count: count)
        starts = Array(repeating: 0, count: count)
        isolations = Array(repeating: 0, count: count)
        lags = Array(repeating: 0, count: count)
        self.random = random
        tick()
    }

    func coordinator(for process: SimProcess, identity: String) -> any Campaigning {
        EtcdCoordinator(
            server: Self.url, api: EtcdClientModel(self, process), requestTimeout: .seconds(5), clock: process.clock,
            executor: process.executor, wall: { process.host.wall },
            random: { process.random.within(1...(.max / 2)) })
    }

    /// Elections have no prefix.
    private static let url: ServerURL = {
        guard let url = try? ServerURL.parse("etcd://etcd1,etcd2,etcd3", as: [.etcd]) else { preconditionFailure("a server URL") }
        return url
    }()

    // MARK: Time

    /// Lets happen what the passing of time does at the servers.
    private func tick() {
        sync()
        compactOld()
        world.after(max(store.nextEvent - time, .milliseconds(1))) { [weak self] in self?.tick() }
    }

    /// Brings the store to the present, and sends what its watches have to tell.
    func sync() {
        lookAtMembers()
        let passed = world.now - lastLook
        lastLook = world.now
        // The leader's clock counts; without a leader nothing of leases happens.
        let drift = store.leader.map { hosts[$0].drift } ?? 0
        time += passed + passed / 1_000_000 * drift + passed % 1_000_000 * drift / 1_000_000
        store.advance(to: time)
        // One copy, which each of the calls below would make.
        let present = store
        for member in hosts.indices {
            if present.seesLeader(member) {
                leaderlessSince[member] = nil
            } else if leaderlessSince[member] == nil {
                leaderlessSince[member] = world.now
            }
        }
        lookAtTerms()
        showLeader()
        flush()
    }

    private func lookAtMembers() {
        var gone: Set<Int> = []
        var back: Set<Int> = []
        for (member, host) in hosts.enumerated() {
            let isAway = !host.isUp || host.isStopped || isolations[member] > 0
            if isAway, away.insert(member).inserted { gone.insert(member) }
            if !isAway, away.remove(member) != nil { back.insert(member) }
        }
        if !gone.isEmpty || !back.isEmpty {
            store.candidate = Int(random.below(Int64(hosts.count)))
            if !gone.isEmpty { store.isolate(gone) }
            if !back.isEmpty { store.join(back) }
        }
    }

    private func showLeader() {
        guard store.leader != leaderShown else { return }
        leaderShown = store.leader
        if let leader = store.leader {
            world.note("leads the cluster, in term #1", host: hosts[leader], Int64(clamping: store.term))
        } else {
            world.note("the cluster has no leader")
        }
    }

    func restarts(_ host: Host) {
        guard let member = hosts.firstIndex(where: { $0 === host }) else { return }
        starts[member] += 1
        for stream in streams where stream.member == member { store.closeWatches(stream.number) }
        streams.removeAll { $0.member == member }
        // Also if it was down for so short a time that nobody had noticed: a leader that restarts gives every lease its whole TTL again.
        if store.leader == member, hosts.count == 1 || !away.contains(member) { store.lead(member) }
        sync()
    }

    // MARK: Requests

    /// Whether a request with `hasleader` is refused by this member.
    private func missesLeader(_ member: Int) -> Bool {
        // One that led takes itself for the leader.
        formerLeader?.member != member && leaderlessSince[member].map { world.now - $0 > Self.believed } ?? false
    }

    private func caller(_ member: Int, needsLeader: Bool) -> EtcdStore.Caller {
        EtcdStore.Caller(member: member, hasLeader: needsLeader && missesLeader(member))
    }

    /// Answers a request that a member has got.
    /// - Parameters:
    ///   - isWrite: whether it goes through the log: it is carried out a little later, and perhaps much later if it fails.
    ///   - words: for the history; nil for what is of no interest there.
    func serve<Answer: Sendable>(
        _ member: Int, _ reply: Reply<Result<Answer, EtcdServerError>>, isWrite: Bool, needsLeader: Bool = true,
        words: (did: StaticString, number: Int64)? = nil,
        _ body: @escaping @Sendable (inout EtcdStore, EtcdStore.Caller) throws(EtcdServerError) -> Answer?
    ) {
        let start = starts[member]
        let carryOut = { [self] in
            sync()
            // What has no leader to agree on it can be in the log all the same.
            store.faults.keepsProposals = random.chance(500_000)
            let caller = caller(member, needsLeader: needsLeader)
            var result: Result<Answer, EtcdServerError>
            do throws(EtcdServerError) {
                guard let answer = try body(&store, caller) else { return }
                result = .success(answer)
                if let words { world.note(words.did, host: hosts[member], words.number, Int64(reply.caller.number)) }
            } catch {
                result = .failure(error)
                world.note("refuses a request of process #2", host: hosts[member], 0, Int64(reply.caller.number))
            }
            lookAtTerms()
            flush()
            if isWrite, losses > 0, random.chance(500_000) {
                world.note("does not answer process #2", host: hosts[member], 0, Int64(reply.caller.number))
                if random.chance(500_000) { reply.hangUp() }
                return
            }
            var wait = random.spread(.microseconds(20)...(.milliseconds(2))) + lags[member]
            if case .failure(let error) = result, error.after > .zero {
                wait = max(wait, random.within(.seconds(1)...error.after.nanoseconds))
            }
            world.after(wait) { [self] in
                hosts[member].run { [self] in
                    guard starts[member] == start, hosts[member].isUp else { return }
                    reply.send(result)
                }
            }
        }
        guard isWrite else { return carryOut() }
        // Carried out perhaps long after its sender has given up.
        let late = lateWrites > 0 && random.chance(400_000) ? random.spread(.milliseconds(100)...max(ttl, .seconds(2))) : 0
        world.after(late + random.spread(.microseconds(50)...(.milliseconds(5)))) { [self] in
            // A member that ended before it passed the request on.
            guard starts[member] == start, hosts[member].isUp else { return }
            hosts[member].run(carryOut)
        }
    }

    // MARK: Watches

    func openWatches(_ member: Int, _ pipe: Pipe, _ client: EtcdWatchesModel, _ generation: UInt64) {
        sync()
        do throws(EtcdServerError) {
            let number = try store.openWatches(EtcdStore.Caller(member: member, hasLeader: true))
            streams.append(EtcdStreamModel(member: member, number: number, pipe: pipe, client: client, generation: generation))
            pipe.onServerBreak = { [weak self] in self?.closeWatches(pipe) }
        } catch {
            pipe.sendToProcess { client.ended(error, generation) }
            pipe.closeAtServer()
        }
    }

    func watch(_ request: Etcdserverpb_WatchRequest, _ pipe: Pipe) {
        guard let stream = streams.first(where: { $0.pipe === pipe }) else { return }
        sync()
        store.watch(request, on: stream.number)
        flush()
    }

    private func closeWatches(_ pipe: Pipe) {
        guard let index = streams.firstIndex(where: { $0.pipe === pipe }) else { return }
        store.closeWatches(streams[index].number)
        streams.remove(at: index)
    }

    private func streamsWithAnswers() -> [EtcdStreamModel] {
        let present = store
        return streams.filter { present.hasAnswers($0.number) && (muted == nil || $0.client.process !== muted) }
    }

    /// Sends what the watches have to tell.
    func flush() {
        for stream in streamsWithAnswers() {
            let member = stream.member
            do throws(EtcdServerError) {
                for answer in try store.takeAnswers(stream.number) {
                    // In order, although the lag of the member changes.
                    stream.sendAt = max(stream.sendAt, world.now + lags[member] + random.spread(.microseconds(20)...(.milliseconds(1))))
                    world.at(stream.sendAt) { [self] in
                        hosts[member].run { stream.pipe.sendToProcess { stream.client.received(answer, stream.generation) } }
                    }
                }
            } catch {
                world.at(max(stream.sendAt, world.now)) { [self] in
                    hosts[member].run {
                        stream.pipe.sendToProcess { stream.client.ended(error, stream.generation) }
                        stream.pipe.closeAtServer()
                    }
                }
            }
        }
    }

    // MARK: Revisions

    /// Discards all but the latest revisions, as etcd is configured to do or `etcdctl compact` does.
    func compact(keeping count: Int64) {
        let revision = store.revision - count
        guard revision > compacted else { return }
        do throws(EtcdServerError) {
            try store.compact(revision, EtcdStore.Caller(member: store.leader ?? 0))
            compacted = revision
        } catch {}
        flush()
    }

    private func compactOld() { if store.revision - compacted > Self.mostRevisions { compact(keeping: Self.keptRevisions) } }
}

/// A stream of watches at a member.
final class EtcdStreamModel {
    let member: Int
    let number: Int
    let pipe: Pipe
    let client: EtcdWatchesModel
    let generation: UInt64
    var sendAt: Nanoseconds = 0

    init(member: Int, number: Int, pipe: Pipe, client: EtcdWatchesModel, generation: UInt64) {
        self.member = member
        self.number = number
        self.pipe = pipe
        self.client = client
        self.generation = generation
    }
}
