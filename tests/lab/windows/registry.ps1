# The Registry provider for a PowerShell 7 that has none, over registry-store.ps1.
using namespace System.Collections
using namespace System.Collections.ObjectModel
using namespace System.Management.Automation
using namespace System.Management.Automation.Provider
using namespace Microsoft.Win32

class DoubleKindParameter {
    [Parameter(ValueFromPipelineByPropertyName)] [RegistryValueKind] $Type = 'Unknown'
}

[CmdletProvider('Registry', 'ShouldProcess')]
class DoubleRegistry : NavigationCmdletProvider, IPropertyCmdletProvider, IDynamicPropertyCmdletProvider {
    [char] get_ItemSeparator() { return '\' }
    [char] get_AltItemSeparator() { return '\' }
    [bool] IsValidPath([string] $path) { return $path.Trim().Length -gt 0 }
    [bool] ItemExists([string] $path) { return [DoubleStore]::Exists([DoubleStore]::Read(), [DoubleStore]::Clean($path)) }
    [bool] IsItemContainer([string] $path) { return $this.ItemExists($path) }
    [bool] HasChildItems([string] $path) { return [DoubleStore]::Children([DoubleStore]::Read(), [DoubleStore]::Clean($path)).Count -gt 0 }

    [string] MakePath([string] $parent, [string] $child) {
        if (-not $parent) { return $child.Replace('/', '\') }
        return $parent.Replace('/', '\').TrimEnd('\') + '\' + $child.Replace('/', '\').TrimStart('\')
    }
    [string] GetParentPath([string] $path, [string] $root) {
        $full, $cut = $path.Replace('/', '\').TrimEnd('\'), $path.Replace('/', '\').TrimEnd('\').LastIndexOf('\')
        if ($cut -lt 0 -or ($root -and $full -eq $root.Replace('/', '\').TrimEnd('\'))) { return '' }
        return $full.Substring(0, $cut)
    }
    [string] GetChildName([string] $path) { return $path.Replace('/', '\').TrimEnd('\').Split('\')[-1] }
    [string] NormalizeRelativePath([string] $path, [string] $base) {
        $full, $from = [DoubleStore]::Clean($path), [DoubleStore]::Clean($base)
        if ($from -and $full.StartsWith("$from\", 'OrdinalIgnoreCase')) { return $full.Substring($from.Length + 1) }
        if ($full -eq $from) { return '' }
        return $full
    }

    hidden [void] Fail([Exception] $problem, [string] $id, [ErrorCategory] $category, $target) {
        $this.WriteError([ErrorRecord]::new($problem, $id, $category, $target))
    }
    hidden [void] Send([IDictionary] $keys, [string] $path) {
        $object = [psobject]::new([DoubleKey]::new($keys, [DoubleStore]::Spelled($keys, $path)))
        $object.PSObject.TypeNames.Insert(0, 'Microsoft.Win32.RegistryKey')
        $object.PSObject.Properties.Add([PSNoteProperty]::new('Property', $object.GetValueNames()))
        $this.WriteItemObject($object, $object.Name, $true)
    }

    [void] GetItem([string] $path) { $this.Send([DoubleStore]::Read(), [DoubleStore]::Clean($path)) }
    [void] GetChildItems([string] $path, [bool] $recurse) {
        $keys, $full = [DoubleStore]::Read(), [DoubleStore]::Clean($path)
        foreach ($child in [DoubleStore]::Children($keys, $full)) {
            $this.Send($keys, "$full\$child")
            if ($recurse) { $this.GetChildItems("$full\$child", $true) }
        }
    }
    [void] GetChildNames([string] $path, [ReturnContainers] $returned) {
        $full = [DoubleStore]::Clean($path)
        foreach ($child in [DoubleStore]::Children([DoubleStore]::Read(), $full)) { $this.WriteItemObject($child, "$full\$child", $true) }
    }
    [void] NewItem([string] $path, [string] $type, [object] $value) {
        $keys, $full = [DoubleStore]::Read(), [DoubleStore]::Clean($path)
        $parent = $this.GetParentPath($full, '')
        if ([DoubleStore]::Exists($keys, $full) -and -not $this.Force) {
            $this.Fail([IO.IOException]::new('A key in this path already exists.'), 'System.IO.IOException', 'ResourceExists', $full)
        } elseif (-not $this.Force -and -not [DoubleStore]::Exists($keys, $parent)) {
            $problem = [ArgumentException]::new('The registry key at the specified path does not exist.')
            $this.Fail($problem, 'System.ArgumentException', 'InvalidArgument', $parent)
        } elseif ($this.ShouldProcess($full, 'New Item')) {
            [DoubleStore]::Change('make', $full, '', $null)  # -Force empties a key that is there
            $this.Send([DoubleStore]::Read(), $full)
        }
    }
    [void] RemoveItem([string] $path, [bool] $recurse) {
        $full = [DoubleStore]::Clean($path)
        if ($this.ShouldProcess($full, 'Remove Key')) { [DoubleStore]::Change('remove', $full, '', $null) }
    }

    # Names of the values that a name or pattern means; a plain name that is not there is an error.
    hidden [string[]] Match([string] $path, [string] $wanted) {
        $keys, $full = [DoubleStore]::Read(), [DoubleStore]::Clean($path)
        $found = @(if ($keys.Contains($full)) { $keys[$full].Keys | Where-Object { $_ -like $wanted } })
        if (-not $found -and -not [WildcardPattern]::ContainsWildcardCharacters($wanted)) {
            $problem = [PSArgumentException]::new("Property $wanted does not exist at path $full.")
            $this.Fail($problem, 'System.Management.Automation.PSArgumentException', 'InvalidArgument', $wanted)
        }
        return $found
    }
    hidden [void] SendValues([string] $path, [string[]] $names) {
        $keys, $full, $object = [DoubleStore]::Read(), [DoubleStore]::Clean($path), [psobject]::new()
        $entries = $keys[$full]
        foreach ($name in $names) {
            $object.PSObject.Properties.Add([PSNoteProperty]::new($name, [DoubleStore]::Shown($entries[$name], $false)))
        }
        $this.WritePropertyObject($object, [DoubleStore]::Spelled($keys, $full))
    }
    hidden [void] Put([string] $path, [string] $name, $value, [RegistryValueKind] $kind, [string] $what) {
        $full = [DoubleStore]::Clean($path)
        if (-not $this.ShouldProcess("Item: $full Property: $name", $what)) { return }
        try { $entry = [DoubleStore]::Made($value, $kind) } catch {
            $problem = [PSInvalidCastException]::new($_.Exception.Message)
            $global:Error.RemoveAt(0)  # the caller sees the provider's error, not the one that was caught here
            $this.Fail($problem, $problem.GetType().FullName, 'WriteError', $full)
            return
        }
        [DoubleStore]::Change('put', $full, $name, $entry)
        $this.SendValues($full, @($name))
    }

    [void] GetProperty([string] $path, [Collection[string]] $wanted) {
        $patterns = if ($wanted.Count) { $wanted } else { '*' }
        $names = @(foreach ($pattern in $patterns) { $this.Match($path, $pattern) })
        if ($names) { $this.SendValues($path, $names) }
    }
    [void] SetProperty([string] $path, [psobject] $given) {
        $full = [DoubleStore]::Clean($path)
        foreach ($member in $given.PSObject.Properties) {
            $there = [DoubleStore]::Read()[$full]
            $kind = if ($this.DynamicParameters -and $this.DynamicParameters.Type -ne 'Unknown') { $this.DynamicParameters.Type } `
                elseif ($there -and $there.Contains($member.Name)) { $there[$member.Name].kind } else { 'Unknown' }
            $this.Put($path, $member.Name, $member.Value, $kind, 'Set Property')
        }
    }
    [void] NewProperty([string] $path, [string] $name, [string] $kind, [object] $value) {
        $there = [DoubleStore]::Read()[[DoubleStore]::Clean($path)]
        if ($there -and $there.Contains($name) -and -not $this.Force) {
            $this.Fail([IO.IOException]::new('The property already exists.'), 'System.IO.IOException', 'ResourceExists', $path)
        } elseif ($kind -and [RegistryValueKind].GetEnumNames() -notcontains $kind) {
            $problem = [ArgumentException]::new("Cannot bind parameter 'PropertyType': $kind")
            $this.Fail($problem, 'TypeParameterBindingInvalid', 'InvalidArgument', $kind)
        } else { $this.Put($path, $name, $value, $(if ($kind) { $kind } else { 'Unknown' }), 'New Property') }
    }
    [void] RemoveProperty([string] $path, [string] $wanted) {
        $full = [DoubleStore]::Clean($path)
        foreach ($name in $this.Match($path, $wanted)) {
            if ($this.ShouldProcess("Item: $full Property: $name", 'Remove Property')) {
                [DoubleStore]::Change('forget', $full, $name, $null)
            }
        }
    }
    [void] ClearProperty([string] $path, [Collection[string]] $wanted) { throw [PSNotSupportedException]::new() }
    [void] RenameProperty([string] $path, [string] $from, [string] $to) { throw [PSNotSupportedException]::new() }
    [void] CopyProperty([string] $fromPath, [string] $from, [string] $toPath, [string] $to) { throw [PSNotSupportedException]::new() }
    [void] MoveProperty([string] $fromPath, [string] $from, [string] $toPath, [string] $to) { throw [PSNotSupportedException]::new() }

    [object] SetPropertyDynamicParameters([string] $path, [psobject] $given) { return [DoubleKindParameter]::new() }
    [object] GetPropertyDynamicParameters([string] $path, [Collection[string]] $wanted) { return $null }
    [object] ClearPropertyDynamicParameters([string] $path, [Collection[string]] $wanted) { return $null }
    [object] NewPropertyDynamicParameters([string] $path, [string] $name, [string] $kind, [object] $value) { return $null }
    [object] RemovePropertyDynamicParameters([string] $path, [string] $name) { return $null }
    [object] RenamePropertyDynamicParameters([string] $path, [string] $from, [string] $to) { return $null }
    [object] CopyPropertyDynamicParameters([string] $fromPath, [string] $from, [string] $toPath, [string] $to) { return $null }
    [object] MovePropertyDynamicParameters([string] $fromPath, [string] $from, [string] $toPath, [string] $to) { return $null }
}

# The module's name is part of every path that a script sees (PSPath); this one is the genuine provider's.
$module = Import-Module -Assembly ([DoubleRegistry].Assembly) -PassThru
[void][PSModuleInfo].GetMethod('SetName', [Reflection.BindingFlags]'NonPublic, Instance').Invoke($module, @('Microsoft.PowerShell.Core'))
foreach ($name in 'HKLM', 'HKCU') {
    $drive = [PSDriveInfo]::new($name, $ExecutionContext.SessionState.Provider.GetOne('Registry'), [DoubleStore]::Hives[$name], '', $null)
    $null = $ExecutionContext.SessionState.Drive.New($drive, 'global')
}
