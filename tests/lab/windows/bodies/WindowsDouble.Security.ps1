# Access lists of files: what icacls knows about them, as objects.
function Resolve-DoubleFile([string]$Path, [string]$Id, $Cmdlet) {
    $file = $ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($Path)
    if ([IO.File]::Exists($file) -or [IO.Directory]::Exists($file)) { return $file }
    Write-DoubleError $Cmdlet $Id "Cannot find path '$Path' because it does not exist." ObjectNotFound $Path
}
function New-DoubleAcl([string]$Path, [string]$File) {
    $found = ConvertFrom-Json (Invoke-DoubleControl acl $File)
    $rules = @(foreach ($rule in $found.Rules) {
        New-DoubleObject 'System.Security.AccessControl.FileSystemAccessRule' ([ordered]@{
            FileSystemRights = [Security.AccessControl.FileSystemRights]$rule.FileSystemRights
            AccessControlType = [Security.AccessControl.AccessControlType]$rule.AccessControlType
            IdentityReference = New-DoubleObject 'System.Security.Principal.NTAccount' ([ordered]@{ Value = $rule.IdentityReference })
            IsInherited = $rule.IsInherited; InheritanceFlags = [Security.AccessControl.InheritanceFlags]$rule.InheritanceFlags
            PropagationFlags = [Security.AccessControl.PropagationFlags]$rule.PropagationFlags })
    })
    $type = if ([IO.Directory]::Exists($File)) { 'DirectorySecurity' } else { 'FileSecurity' }
    New-DoubleObject "System.Security.AccessControl.$type" ([ordered]@{
        Path = "Microsoft.PowerShell.Core\FileSystem::$Path"
        Owner = $found.Owner
        Group = $found.Owner
        Access = $rules
        Sddl = $found.Sddl
        AreAccessRulesProtected = $found.Protected; DoubleOwn = ConvertTo-Json -InputObject $found.Own -Depth 5 -Compress })
}
Body 'Get-Acl' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound 'Path','LiteralPath'
    foreach ($path in @($Bound.Path) + @($Bound.LiteralPath) | Where-Object { $_ }) {
        $file = Resolve-DoubleFile $path 'GetAcl_PathNotFound_Exception' $Cmdlet
        if ($file) { New-DoubleAcl $path $file }
    }
}
Body 'Set-Acl' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound 'Path','LiteralPath','AclObject'
    foreach ($path in @($Bound.Path) + @($Bound.LiteralPath) | Where-Object { $_ }) {
        $file = Resolve-DoubleFile $path 'PathNotFound' $Cmdlet
        if (-not $file -or -not $Cmdlet.ShouldProcess($path)) { continue }
        if (-not $Bound.AclObject.DoubleOwn) {
            Stop-Double $Cmdlet 'SetAcl_AclObject' 'AclObject is not a list of Get-Acl.' InvalidArgument $path
        }
        Invoke-DoubleControl acl $file $Bound.AclObject.DoubleOwn
    }
}
