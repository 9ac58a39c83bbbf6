import QQCore
import QQKubernetes
import Support

/// The servers of a world that are a Kubernetes cluster: `LeaseAPI`s, which answer as the recordings of a real one have it, on one `LeaseStore`, its etcd.
///
/// What is added here is time and trouble: requests that take a while on both sides of etcd, and what `KubernetesFault` has.
final class KubernetesCluster: SimulatedServer, @unchecked Sendable {
    // Used on the world's thread only.
    static let namespace = "team"
    static let requestTimeout: Duration = .seconds(5)

    /// A write whose client has an answer, or will get none, and that is carried out later or never.
    struct LateWrite {
        var request: LeaseAPI.Request
        var server: ClusterServer
        var process: SimProcess
    }

    let world: World
    let election: String
    let store: LeaseStore
    /// The wall clock of the servers.
    let wall: @Sendable () -> WallTime
    private(set) var servers: [ClusterServer] = []
    var random: Generator
    /// Whose write is carried out just now.
    private var writer: SimProcess?
    /// Who holds the lease by its record.
    private var holder: String?
    private weak var holdingProcess: SimProcess?
    /// Faults under way.
    private var hangs = 0
    private var silences = 0
    private var edits = 0
    private var mayWatch = true
    private let names: Set<String>?
    /// For each fault of that kind under way, the part of the requests in a million.
    private(set) var badAnswers: [Int64] = []
    private(set) var tooManyRequests: [Int64] = []
    private var hanging: [LateWrite] = []

    /// The user as which all `qq`s ask.
    static let user = LeaseAPI.User.serviceAccount("qq")

    init(_ world: World, _ setting: ServerSetting) {
        self.world = world
        election = setting.election
        var random = world.generator(.server)
        Self.setWallClocks(of: world.hosts, &random)
        // Servers keep their wall clocks together, and none of them judges a lease.
        let began = WallTime(seconds: 1_700_000_000 + random.within(-3...3))
        let wall: @Sendable () -> WallTime = { [unowned world] in began + .nanoseconds(world.now) }
        self.wall = wall
        store = LeaseStore(clock: wall)
        names = random.chance(100_000) ? [setting.election] : nil
        mayWatch = random.chance(800_000)
        let count = random.within(1...3)
        self.random = random
        for number in 1...count {
            let host = world.makeHost("server\(number)", drift: 0)
            servers.append(ClusterServer(host, LeaseAPI(store: store), self))
        }
        permit()
        store.subscribe { [unowned self] in noteChange($0) }
    }

    /// Contenders differ in their wall clocks by nothing, by seconds, or by much.
    private static func setWallClocks(of hosts: [Host], _ random: inout Generator) {
        let most: Nanoseconds = random.chance(500_000) ? .milliseconds(20) : random.chance(500_000) ? .seconds(5) : .seconds(100_000)
        for host in hosts { host.setWall(by: random.within(-most...most)) }
    }

    var hosts: [Host] { servers.map(\.host) }

    func coordinator(for process: SimProcess, identity: String) -> any Campaigning {
        let client = KubernetesClient(self, process)
        let coordinator = KubernetesCoordinator(
            server: Self.url, api: client, namespace: Self.namespace, clock: process.clock, executor: process.executor,
            requestTimeout: Self.requestTimeout, wall: { process.host.wall }, random: { process.random.next() })
        process.onEnd { client.endWatches() }
        return coordinator
    }

    private static let url: ServerURL = {
        let system = ServerURL.System(
            name: "kubernetes", schemes: [.init("k8s")], authority: .name("the context's name"),
            path: .part(.init("the namespace", tooMany: .init(reason: "several", hint: "one")) { _ in nil }))
        do { return try ServerURL.parse("k8s://simulated/team", as: [system]) } catch { fatalError("\(error)") }
    }()

    func restarts(_ host: Host) { servers.first { $0.host === host }?.restart() }

    private func permit() {
        let verbs = mayWatch ? LeaseAPI.Grant.watching : LeaseAPI.Grant.electing
        let grant = LeaseAPI.Grant(Self.user.name, verbs, in: Self.namespace, names: names)
        for server in servers { server.api.change { $0.grants = [grant] } }
    }

    // MARK: etcd

    var isHanging: Bool { hangs > 0 }

    func handle(_ request: LeaseAPI.Request, at server: ClusterServer, by process: SimProcess?) -> LeaseAPI.Outcome {
        writer = process
        defer { writer = nil }
        return server.api.handle(request)
    }

    /// Carries a write out after its client has given up, unless etcd hangs.
    func carryOut(_ write: LateWrite, after span: Nanoseconds) {
        world.after(span) { [weak self] in
            guard let self else { return }
            if isHanging { return hanging.append(write) }
            let before = store.version
            _ = handle(write.request, at: write.server, by: write.process)
            if store.version > before { world.note("its write is carried out late", write.process) }
        }
    }

    func keep(_ write: LateWrite) { hanging.append(write) }

    /// Nothing at the servers ends a lease but the next write: contenders count for themselves.
    func isHeld(_ term: Term) -> Bool? { holder == term.identity && holdingProcess === term.process }

    private func noteChange(_ change: LeaseStore.Change) {
        holder = change.holder
        if let writer { holdingProcess = writer }
        let version = Int64(clamping: change.version)
        guard let writer else { return world.note("another client has written version #1", version) }
        world.note(change.holder == nil ? "has written version #1, without a holder" : "has written version #1", writer, version)
    }

    // MARK: Faults

    func begin(_ fault: Int, argument: UInt64) {
        switch KubernetesFault(rawValue: fault) {
        case .etcdHangs:
            hangs += 1
            store.set(.paused)
        case .badAnswers: badAnswers.append(Self.part(argument))
        case .tooManyRequests: tooManyRequests.append(Self.part(argument))
        case .watchesEnd:
            for server in servers {
                switch argument % 3 {
                case 0: server.api.endWatches(.orderly)
                case 1: server.api.endWatches(.broken)
                default: server.api.expireWatches()
                }
            }
        case .watchesAreSilent:
            silences += 1
            for server in servers { server.api.silenceWatches(true) }
        case .labelsChange:
            edits += 1
            if edits == 1 { edit(0) }
        case .deletedWhileFree:
            if store.holder(election)?.isEmpty ?? true { store.remove(election) }
        case .watchingIsForbidden:
            mayWatch.toggle()
            permit()
        case nil: break
        }
    }

    func end(_ fault: Int, argument: UInt64) {
        switch KubernetesFault(rawValue: fault) {
        case .etcdHangs:
            hangs -= 1
            guard hangs == 0 else { return }
            // What the store itself has kept is here as well, with its writer.
            store.resume()
            let writes = hanging
            hanging = []
            let part = Self.part(argument)
            for write in writes where random.chance(part) { carryOut(write, after: random.spread(.microseconds(100)...(.seconds(1)))) }
        case .badAnswers: if let index = badAnswers.firstIndex(of: Self.part(argument)) { badAnswers.remove(at: index) }
        case .tooManyRequests: if let index = tooManyRequests.firstIndex(of: Self.part(argument)) { tooManyRequests.remove(at: index) }
        case .watchesAreSilent:
            silences -= 1
            if silences == 0 { for server in servers { server.api.silenceWatches(false) } }
        case .labelsChange: edits -= 1
        case .watchesEnd, .deletedWhileFree, .watchingIsForbidden, nil: break
        }
    }

    /// From a tenth to all, in a million.
    private static func part(_ argument: UInt64) -> Int64 { Int64(100_000 + argument % 900_001) }

    private func edit(_ number: Int) {
        guard edits > 0 else { return }
        store.edit(election, labels: ["changed": "\(number)"])
        world.after(random.spread(.milliseconds(5)...(.seconds(1)))) { [weak self] in self?.edit(number + 1) }
    }
}
