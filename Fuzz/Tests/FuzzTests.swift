import Glibc
import Synchronization
import Testing

/// Feeds each target its seeds, which contain the inputs that fuzzers have found, and then simple mutations of them for QQ_FUZZ_SECONDS
/// (1). This needs only the build of the tests; `make fuzz` searches with libFuzzer, which finds more.
@Suite("Input from outside", .serialized)
struct FuzzTests {
    private static let seconds = getenv("QQ_FUZZ_SECONDS").flatMap { Double(String(cString: $0)) } ?? 1
    /// Seed of the mutations; QQ_FUZZ_SEED repeats them.
    private static let seed = getenv("QQ_FUZZ_SEED").flatMap { UInt64(String(cString: $0)) } ?? UInt64.random(in: 0...UInt64(UInt32.max))

    @Test("any input is handled without a trap, and parsed values are written back unchanged", arguments: FuzzTarget.all.map(\.name))
    func taken(name: String) throws {
        let target = try #require(FuzzTarget.all.first { $0.name == name })
        let seeds = try Folder.seeds.inputs(name)
        #expect(!seeds.isEmpty, "no seeds for \(name)")
        let running = try RunningInput(name)
        for seed in seeds { running.run(seed, target) }
        var mutator = Mutator(seeds, words: target.words, seed: Self.seed)
        let end = ContinuousClock.now + .seconds(Self.seconds)
        var count = 0
        while ContinuousClock.now < end {
            let began = Self.workingTime
            running.run(mutator.next(), target)
            let took = Self.workingTime - began
            if took > .seconds(10) { running.keep("takes \(took) of the processor") }
            count += 1
        }
        running.close()
        print("fuzz: \(name): \(seeds.count) seeds, \(count) mutations, QQ_FUZZ_SEED=\(Self.seed)")
    }

    /// Time that this thread has had the processor. Unlike the time of a clock, it does not grow while the machine does something else.
    private static var workingTime: Duration {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }

    @Test(
        "seeds of each kind of answer reach the output",
        arguments: [
            "lease-files", "nats-answers", "raftlock-answers", "quorum-quest-answers", "etcd-answers", "consul-answers", "recordings",
        ])
    func shown(name: String) throws {
        let target = try #require(FuzzTarget.all.first { $0.name == name })
        let seeds = try Folder.seeds.inputs(name)
        let shown = seeds.filter { seed in
            let before = timesShown.load(ordering: .relaxed)
            target.run(seed)
            return timesShown.load(ordering: .relaxed) > before
        }
        #expect(shown.count >= 4, "\(name): \(shown.count) of \(seeds.count)")
    }
}

/// A file with the input that is being run, which is left if that input ends the process: .build/fuzz/running/TARGET.
private final class RunningInput {
    private let path: String
    private let descriptor: CInt

    init(_ name: String) throws {
        let folder = Folder.package + "/.build/fuzz/running"
        for path in [Folder.package + "/.build", Folder.package + "/.build/fuzz", folder] { mkdir(path, 0o755) }
        path = folder + "/" + name
        descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw Folder.Unreadable(description: "cannot write \(path): \(String(cString: strerror(errno)))") }
    }

    func run(_ input: [UInt8], _ target: FuzzTarget) {
        _ = pwrite(descriptor, input, input.count, 0)
        ftruncate(descriptor, off_t(input.count))
        target.run(input)
    }

    /// Keeps an input that does not end the process.
    func keep(_ reason: String) {
        Issue.record("\(reason): see \(path).slow")
        let copy = open(path + ".slow", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        if copy >= 0, count > 0 { _ = write(copy, bytes, count) }
        Glibc.close(copy)
    }

    func close() {
        Glibc.close(descriptor)
        unlink(path)
    }
}

/// A folder of inputs.
private struct Folder {
    struct Unreadable: Error, CustomStringConvertible {
        let description: String
    }

    let path: String

    static let package = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
    static let seeds = Folder(path: package + "/Fuzz/Seeds")

    /// The inputs of a target: one in each file, or one in each line of a file whose name ends in `.lines`, with spaces for line ends.
    func inputs(_ name: String) throws -> [[UInt8]] {
        guard let directory = opendir(path + "/" + name) else { throw Unreadable(description: "no folder \(path)/\(name)") }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            names.append(withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
        }
        return try names.filter { !$0.hasPrefix(".") }.sorted().flatMap { file -> [[UInt8]] in
            let bytes = try read(path + "/" + name + "/" + file)
            guard file.hasSuffix(".lines") else { return [bytes] }
            return bytes.split(separator: 10).map { $0.map { $0 == 0x20 ? 10 : $0 } + [10] }
        }
    }

    private func read(_ file: String) throws -> [UInt8] {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Unreadable(description: "cannot read \(file)") }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count <= 0 { return bytes }
            bytes += chunk[..<count]
        }
    }
}
