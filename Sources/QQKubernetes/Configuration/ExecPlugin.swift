import QQCore
import Yams

/// A program that prints a credential, as the `exec` of a user describes it.
struct ExecPlugin: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
    /// A version of the format of the output.
    enum Version: String, Sendable, Hashable, CaseIterable {
        case v1 = "client.authentication.k8s.io/v1"
        case v1beta1 = "client.authentication.k8s.io/v1beta1"
    }

    /// Whether the program gets the terminal, to ask the user.
    enum InteractiveMode: String, Sendable, Hashable {
        case never = "Never"
        case ifAvailable = "IfAvailable"
        case always = "Always"
    }

    var version: Version
    /// A name to look up in PATH, or a path.
    var command: String
    var arguments: [Secret]
    var variables: [Variable]
    var interactiveMode: InteractiveMode
    /// How to install the program, safe to show.
    var installHint: String?
    /// `spec.cluster` of the input, if the program asks for it: the server and how to reach it.
    var cluster: JSONValue?
    /// The user of the kubeconfig and the file, for messages: `user "ops", /home/me/.kube/config`.
    var origin: String

    /// A variable for the program. Its value can be secret.
    struct Variable: Sendable, Hashable {
        var name: String
        var value: Secret
    }

    /// Whether the command is a path, and not a name to look up.
    var isPath: Bool { command.utf8.contains(UInt8(ascii: "/")) }

    /// The program's name for messages: without folder.
    var name: String { Printable.text(String(command.split(separator: "/").last ?? "")) }

    /// - Parameters:
    ///   - user: the user's entry, for messages: `user "ops"`.
    ///   - cluster: makes the description of the cluster, for a program that asks for it.
    init(_ value: KubeconfigValue, user: String, cluster: () throws(CoordinationError) -> JSONValue) throws(CoordinationError) {
        guard let command = try value.text("command") else { throw value.wrong("it has no command") }
        guard let text = try value.text("apiVersion") else {
            throw value.wrong("it has no apiVersion", hint: "kubectl needs it, too: \(Version.v1.rawValue)")
        }
        guard let version = Version(rawValue: text) else {
            throw value.wrong(
                "its apiVersion \(text.quotedForUser) is not supported", value.node("apiVersion"),
                hint: "use a version of the plugin that supports \(Version.v1.rawValue)")
        }
        self.version = version
        self.command = command.utf8.contains(UInt8(ascii: "/")) ? KubeconfigValue.resolve(command, beside: value.path) : command
        guard !command.utf8.contains(0) else { throw value.wrong("its command contains a NUL") }
        arguments = try value.texts("args").map { Secret($0) }
        guard !arguments.contains(where: { $0.text.utf8.contains(0) }) else { throw value.wrong("args contains a NUL") }
        variables = try value.values("env").map { item throws(CoordinationError) in
            guard let name = try item.text("name"), !name.utf8.contains(where: { $0 == 0 || $0 == UInt8(ascii: "=") }) else {
                throw item.wrong("a variable has no name, or one that variables cannot have")
            }
            let value = Secret(try item.text("value") ?? "")
            guard !value.text.utf8.contains(0) else { throw item.wrong("the value of \(name.quotedForUser) contains a NUL") }
            return Variable(name: name, value: value)
        }
        if let text = try value.text("interactiveMode") {
            guard let mode = InteractiveMode(rawValue: text) else {
                throw value.wrong("interactiveMode is not Never, IfAvailable or Always", value.node("interactiveMode"))
            }
            interactiveMode = mode
        } else {
            guard version == .v1beta1 else {
                throw value.wrong("it has no interactiveMode", hint: "\(Version.v1.rawValue) needs it: Never, IfAvailable or Always")
            }
            interactiveMode = .ifAvailable
        }
        installHint = try value.text("installHint").map { Self.shown($0) }
        self.cluster = try value.flag("provideClusterInfo") ? try cluster() : nil
        origin = "\(user), \(Printable.text(value.path))"
    }

    /// The first lines of a hint on one line, safe to show.
    private static func shown(_ hint: String) -> String {
        let line = hint.split(whereSeparator: \.isNewline).joined(separator: " ")
        return Printable.text(String(line.prefix(500)))
    }

    /// Shows no more than the name and the origin: the description of the cluster can contain the password of a proxy.
    var customMirror: Mirror { Mirror(self, children: ["name": name, "origin": origin]) }

    var description: String { "\(name) (\(origin))" }

    /// The value of `KUBERNETES_EXEC_INFO`: an ExecCredential with the input.
    func input(isInteractive: Bool) -> String {
        var spec: JSONObject = ["interactive": .bool(isInteractive)]
        if let cluster { spec["cluster"] = cluster }
        let input: JSONValue = ["kind": "ExecCredential", "apiVersion": .string(version.rawValue), "spec": .object(spec)]
        return JSONWriter.string(input)
    }
}
