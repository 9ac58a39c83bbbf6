import CSupport
import Glibc
import Synchronization

/// How a process ended.
public enum Ending: Sendable, Hashable {
    case exited(Int32)
    case died(signal: Int32)
}

/// Where one of a child's standard streams goes.
public enum Stream: Sendable, Hashable {
    /// A file, written from its end or read from its beginning.
    case file(String)
    /// A descriptor of this process.
    case descriptor(CInt)
    /// Not open at all.
    case closed
}

/// A program to start, with its arguments, environment and descriptors.
public struct Launch: Sendable {
    /// The program's path, and its arguments byte for byte.
    public var words: [[UInt8]]
    public var environment: [String: String]
    public var folder: String
    public var input = Stream.file("/dev/null")
    public var output = Stream.file("/dev/null")
    public var errors = Stream.file("/dev/null")
    /// Descriptors that the child gets in addition to the standard ones: its number and the number in this process.
    public var descriptors: [CInt: CInt] = [:]
    /// Path below /dev/pts of the terminal that becomes the child's controlling terminal and its three standard streams.
    public var terminal: String?

    public init(_ words: [String], environment: [String: String], folder: String) {
        self.words = words.map { Array($0.utf8) }
        self.environment = environment
        self.folder = folder
    }
}

public struct CannotStart: Error, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }
}

/// A process that a test started, in a session of its own so that the developer's terminal does not affect it.
public final class Child: Sendable {
    public let pid: pid_t
    private let ended = Mutex<Ending?>(nil)

    public init(_ launch: Launch) throws {
        var attributes = posix_spawnattr_t()
        var actions = posix_spawn_file_actions_t()
        posix_spawnattr_init(&attributes)
        posix_spawn_file_actions_init(&actions)
        defer {
            posix_spawnattr_destroy(&attributes)
            posix_spawn_file_actions_destroy(&actions)
        }
        support_spawn_fresh(&attributes)
        support_spawn_folder(&actions, launch.folder)
        if let terminal = launch.terminal {
            posix_spawn_file_actions_addopen(&actions, 0, terminal, O_RDWR, 0)
            posix_spawn_file_actions_adddup2(&actions, 0, 1)
            posix_spawn_file_actions_adddup2(&actions, 0, 2)
        } else {
            for (number, stream) in [(CInt(0), launch.input), (1, launch.output), (2, launch.errors)] {
                let flags = number == 0 ? O_RDONLY : O_WRONLY | O_CREAT | O_APPEND
                switch stream {
                case .file(let path): posix_spawn_file_actions_addopen(&actions, number, path, flags, 0o644)
                case .descriptor(let own): posix_spawn_file_actions_adddup2(&actions, own, number)
                case .closed: posix_spawn_file_actions_addclose(&actions, number)
                }
            }
        }
        for (number, own) in launch.descriptors { posix_spawn_file_actions_adddup2(&actions, own, number) }
        // The child must not inherit descriptors that other tests in this process have open.
        support_spawn_close_from(&actions, max(2, launch.descriptors.keys.max() ?? 2) + 1)
        var words = launch.words.map { strdup(($0 + [0]).map { CChar(bitPattern: $0) }) } + [nil]
        var environment = launch.environment.map { strdup($0.key + "=" + $0.value) } + [nil]
        defer { for word in words + environment { free(word) } }
        guard let program = words[0] else { throw CannotStart("no program named") }
        var pid: pid_t = 0
        let problem = posix_spawnp(&pid, program, &actions, &attributes, &words, &environment)
        guard problem == 0 else { throw CannotStart("\(String(cString: program)): \(String(cString: strerror(problem)))") }
        self.pid = pid
    }

    /// How the process ended; nil while it runs.
    public var ending: Ending? {
        ended.withLock { ended in
            if let ended { return ended }
            var status: CInt = 0
            guard waitpid(pid, &status, WNOHANG) == pid else { return nil }
            let number = status & 0x7f
            ended = number == 0 ? .exited((status >> 8) & 0xff) : .died(signal: number)
            return ended
        }
    }

    public var isRunning: Bool { ending == nil }

    /// Sends a signal, unless the process has ended.
    public func signal(_ number: CInt) { ended.withLock { if $0 == nil { kill(pid, number) } } }

    /// Waits for the end of the process.
    @discardableResult
    public func wait(_ what: String = "the end of a process", within limit: Duration = waitingTime) async throws -> Ending {
        try await waitFor(what, within: limit) { ending }
    }
}
