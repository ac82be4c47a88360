# The registry's content for a PowerShell 7 that has no provider for it, in the same file as an engine that brings its own:
# { "HKEY_...\\key": { "name": { "kind": "DWord", "value": 1 }, "short": 1, "text": "x", "many": ["a", "b"] } }; Binary is hexadecimal.
using namespace System.Collections
using namespace Microsoft.Win32

class DoubleStore {
    static [string] $File = "$env:WINDOWS_DOUBLE_STATE/registry.json"
    static [hashtable] $Hives = @{
        HKLM = 'HKEY_LOCAL_MACHINE'; HKCU = 'HKEY_CURRENT_USER'; HKU = 'HKEY_USERS'; HKCR = 'HKEY_LOCAL_MACHINE\SOFTWARE\Classes'
    }

    # HIVE\key\key, whatever the separators of the machine and the short name of the hive.
    static [string] Clean([string] $path) {
        $hive, $rest = $path.Replace('/', '\').Trim('\').Split('\', 2, [StringSplitOptions]::RemoveEmptyEntries)
        $full = if ([DoubleStore]::Hives[$hive]) { [DoubleStore]::Hives[$hive] } else { $hive }
        return ("$full\$rest").Trim('\')
    }

    # key -> (name -> { kind, value }), both found whatever their case.
    static [IDictionary] Read() {
        $keys = [ordered]@{}
        $content = ConvertFrom-Json ([IO.File]::ReadAllText([DoubleStore]::File)) -AsHashtable
        foreach ($key in $content.Keys) {
            $keys[$key] = [ordered]@{}
            foreach ($name in $content[$key].Keys) { $keys[$key][$name] = [DoubleStore]::Entry($content[$key][$name]) }
        }
        return $keys
    }

    static [hashtable] Entry($value) {
        if ($value -is [IDictionary]) { return @{ kind = $value.kind; value = $value.value } }
        $kind = if ($value -is [array]) { 'MultiString' } elseif ($value -is [string]) { 'String' } else { 'DWord' }
        return @{ kind = $kind; value = $value }
    }

    # One change on the newest content, alone among all processes (the lock that Python's side takes too).
    static [void] Change([string] $act, [string] $path, [string] $name, $entry) {
        $lock = $null
        for ($try = 0; -not $lock; $try++) {
            try { $lock = [IO.File]::Open("$([DoubleStore]::File).lock", 'OpenOrCreate', 'ReadWrite', 'None') }
            catch { if ($try -gt 2000) { throw }; [Threading.Thread]::Sleep(5) }
        }
        try {
            $keys = [DoubleStore]::Read()
            if ($act -in 'make', 'remove') {
                foreach ($key in @($keys.Keys)) {
                    if ($key -eq $path -or $key.StartsWith("$path\", 'OrdinalIgnoreCase')) { $keys.Remove($key) }
                }
            }
            if ($act -in 'make', 'put' -and -not $keys.Contains($path)) { $keys[$path] = [ordered]@{} }
            if ($act -eq 'put') { $keys[$path][$name] = $entry }
            if ($act -eq 'forget') { $keys[$path].Remove($name) }
            $fresh = "$([DoubleStore]::File).$([Environment]::ProcessId).tmp"
            [IO.File]::WriteAllText($fresh, (ConvertTo-Json $keys -Depth 6))
            [IO.File]::Move($fresh, [DoubleStore]::File, $true)
        } finally { $lock.Dispose() }
    }

    # The names of the keys right below one.
    static [string[]] Children([IDictionary] $keys, [string] $path) {
        $depth, $found = $path.Split('\').Count, [ordered]@{}
        foreach ($key in $keys.Keys) {
            if ($key.StartsWith("$path\", 'OrdinalIgnoreCase')) { $found[$key.Split('\')[$depth]] = $true }
        }
        return @($found.Keys)
    }

    # The path as its names are spelled in the file.
    static [string] Spelled([IDictionary] $keys, [string] $path) {
        foreach ($key in $keys.Keys) { if ($key -eq $path) { return $key } }
        return $path
    }

    static [bool] Exists([IDictionary] $keys, [string] $path) {
        return $keys.Contains($path) -or [DoubleStore]::Children($keys, $path).Count -gt 0
    }

    # What a script gets for an entry. The provider shows a number above the signed range as unsigned.
    static [object] Shown([hashtable] $entry, [bool] $signed) {
        $value = $entry.value
        $shown = switch ($entry.kind) {
            'DWord' { if (-not $signed -and $value -lt 0) { [uint32]($value + 4294967296) } else { [int]$value } }
            'QWord' { [long]$value }
            'ExpandString' { [Environment]::ExpandEnvironmentVariables($value) }
            'MultiString' { , [string[]]$value }
            'Binary' { , [Convert]::FromHexString($value) }
            default { "$value" }
        }
        return $shown
    }

    # An entry of a kind from what a script gave; raises what a conversion raises.
    static [hashtable] Made($value, [RegistryValueKind] $kind) {
        if ($kind -eq 'Unknown') {
            $kind = if ($value -is [int]) { 'DWord' } elseif ($value -is [long]) { 'QWord' } elseif ($value -is [byte[]]) { 'Binary' } `
                elseif ($value -is [array]) { 'MultiString' } else { 'String' }
        }
        $stored = switch ("$kind") {
            'DWord' { if ([long]$value -gt [int]::MaxValue) { [long]$value - 4294967296 } else { [int]$value } }
            'QWord' { [long]$value }
            'MultiString' { , [string[]]@($value) }
            'Binary' { [Convert]::ToHexString([byte[]]@($value)) }
            default { "$value" }
        }
        return @{ kind = "$kind"; value = $stored }
    }
}

# What Get-Item gives for a key.
class DoubleKey {
    [string] $Name
    [int] $SubKeyCount
    [int] $ValueCount
    hidden [string[]] $Children
    hidden [IDictionary] $Entries

    DoubleKey([IDictionary] $keys, [string] $path) {
        $this.Name, $this.Children = $path, [DoubleStore]::Children($keys, $path)
        $this.Entries = if ($keys.Contains($path)) { $keys[$path] } else { @{} }
        $this.SubKeyCount, $this.ValueCount = $this.Children.Count, $this.Entries.Count
    }
    [object] GetValue([string] $name) { return $this.GetValue($name, $null) }
    [object] GetValue([string] $name, $default) {
        if (-not $this.Entries.Contains($name)) { return $default }
        return [DoubleStore]::Shown($this.Entries[$name], $true)
    }
    [string[]] GetValueNames() { return @($this.Entries.Keys) }
    [string[]] GetSubKeyNames() { return $this.Children }
    [RegistryValueKind] GetValueKind([string] $name) {
        if (-not $this.Entries.Contains($name)) { throw [IO.IOException]::new('The specified registry key does not exist.') }
        return $this.Entries[$name].kind
    }
    [string] ToString() { return $this.Name }
}
