import QQCore

/// The kubeconfig files that apply, merged as client-go merges them: an entry is taken whole from the first file that has one of its name.
struct Kubeconfig {
    /// The files that exist, in order of precedence.
    let files: [KubeconfigFile]
    /// Whether the user named the file with a flag.
    let isExplicit: Bool
    /// The paths that were looked at, for errors.
    let paths: [String]

    /// Reads the files: that of `explicit` alone, or else those of `KUBECONFIG`, or else `~/.kube/config`.
    /// - Throws: `CoordinationError` for an explicit file that does not exist, and for any file that cannot be read or is broken.
    init(explicit: String?, _ environment: KubernetesEnvironment) throws(CoordinationError) {
        isExplicit = explicit != nil
        if let explicit {
            paths = [explicit]
            guard let file = try KubeconfigFile.read(explicit) else {
                throw .kubeconfig("there is no such file", explicit, hint: "--kubeconfig takes the path of a kubeconfig")
            }
            files = [file]
            return
        }
        paths = Self.paths(environment)
        files = try paths.compactMapThrowing { path throws(CoordinationError) in try KubeconfigFile.read(path) }
    }

    init(files: [KubeconfigFile], isExplicit: Bool = false) {
        self.files = files
        self.isExplicit = isExplicit
        paths = files.map(\.path)
    }

    /// The paths in `KUBECONFIG`, without empty and repeated ones; if that is not set, the file in the home folder.
    static func paths(_ environment: KubernetesEnvironment) -> [String] {
        guard let list = environment.variable("KUBECONFIG") else {
            return environment.variable("HOME").map { [$0 + "/.kube/config"] } ?? []
        }
        var paths: [String] = []
        for path in list.split(separator: ":").map(String.init) where !paths.contains(path) { paths.append(path) }
        return paths
    }

    /// The current context: that of the first file that has one; nil if none has.
    func currentContext() throws(CoordinationError) -> String? {
        for file in files { if let name = try file.currentContext() { return name } }
        return nil
    }

    /// The entry of the first file that has it.
    func entry(_ kind: KubeconfigFile.Kind, _ name: String) throws(CoordinationError) -> KubeconfigValue? {
        for file in files { if let entry = try file.entry(kind, name) { return entry } }
        return nil
    }

    /// The names of all entries, each once.
    func names(_ kind: KubeconfigFile.Kind) -> [String] {
        var names: [String] = []
        for file in files { for name in file.names(kind) where !names.contains(name) { names.append(name) } }
        return names
    }

    /// The files, for messages.
    var description: String { (files.isEmpty ? paths : files.map(\.path)).map { Printable.text($0) }.joined(separator: ", ") }
}

extension Sequence {
    /// `compactMap` with typed errors.
    func compactMapThrowing<Value, Failure: Error>(_ transform: (Element) throws(Failure) -> Value?) throws(Failure) -> [Value] {
        var values: [Value] = []
        for element in self { if let value = try transform(element) { values.append(value) } }
        return values
    }
}
