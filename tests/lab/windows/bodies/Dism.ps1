# Optional features and capabilities of the running Windows.
enum Double_FeatureState {
    Disabled = 0
    DisablePending = 1
    Enabled = 2
    EnablePending = 3
    Superseded = 4
    PartiallyInstalled = 5
    DisabledWithPayloadRemoved = 6
}
enum Double_PackageState { NotPresent = 0; UninstallPending = 1; Staged = 2; Removed = 3; Installed = 4; InstallPending = 5 }

function New-DoubleFeature([string]$Name, $Facts) {
    New-DoubleObject 'Microsoft.Dism.Commands.AdvancedFeatureObject' ([ordered]@{
        FeatureName = $Name
        DisplayName = $Facts.DisplayName
        Description = $Facts.Description
        RestartRequired = 'Possible'
        State = [Double_FeatureState]$Facts.State
        CustomProperties = @()
        Path = 'Online'
        Online = $true
        RestartNeeded = $Facts.State -like '*Pending' })
}
Body 'Get-WindowsOptionalFeature' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound 'Online','FeatureName'
    $features = (Get-DoubleState).features
    # The genuine one gives nothing for a name that does not exist.
    foreach ($name in Get-DoubleNames $features) {
        if (-not $Bound.FeatureName -or $name -like $Bound.FeatureName) { New-DoubleFeature $name $features.$name }
    }
}
function Set-DoubleFeature($Bound, $Cmdlet, [string]$Pending, [string]$Reached) {
    Assert-DoubleOnly $Cmdlet $Bound 'Online','FeatureName','All','NoRestart','Remove'
    foreach ($name in $Bound.FeatureName) {
        $known = (Get-DoubleState).features
        if (-not $known.PSObject.Properties[$name]) {
            $problem = "Feature name $name is unknown."
            Stop-Double $Cmdlet 'Microsoft.Dism.Commands.EnableWindowsOptionalFeatureCommand' $problem NotSpecified $name
        }
        $moves = $known.$name.State -notin $Pending, $Reached
        if ($moves) { Edit-DoubleState { param($state) $state.features.$name.State = $Pending; $state.reboot_pending = $true } }
        New-DoubleObject 'Microsoft.Dism.Commands.ImageObject' ([ordered]@{
            Path = ''
            Online = $true
            RestartNeeded = $moves -or $known.$name.State -eq $Pending
        })
    }
}
Body 'Enable-WindowsOptionalFeature' { param($Bound, $Cmdlet) Set-DoubleFeature $Bound $Cmdlet 'EnablePending' 'Enabled' }
Body 'Disable-WindowsOptionalFeature' { param($Bound, $Cmdlet) Set-DoubleFeature $Bound $Cmdlet 'DisablePending' 'Disabled' }

function New-DoubleCapability([string]$Name, [string]$State) {
    New-DoubleObject 'Microsoft.Dism.Commands.BasicCapabilityObject' ([ordered]@{
        Name = $Name
        State = [Double_PackageState]$State
        Path = ''
        Online = $true
        RestartNeeded = $false
    })
}
Body 'Get-WindowsCapability' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound 'Online','Name'
    $known = (Get-DoubleState).capabilities
    foreach ($name in Get-DoubleNames $known) {
        if (-not $Bound.Name -or $name -like $Bound.Name) { New-DoubleCapability $name $known.$name }
    }
}
Body 'Add-WindowsCapability' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound 'Online','Name','Source','LimitAccess'
    # A PC of a company that may not ask Windows Update gets nothing, unless a folder is given.
    if ((Get-DoubleState).wsus -and -not $Bound.Source) {
        Stop-Double $Cmdlet 'Microsoft.Dism.Commands.AddWindowsCapabilityCommand' 'Add-WindowsCapability failed. Error code = 0x800f0954' NotSpecified $Bound.Name
    }
    if (-not (Get-DoubleState).capabilities.PSObject.Properties[$Bound.Name]) {
        $problem = 'Add-WindowsCapability failed. Error code = 0x800f0950'
        Stop-Double $Cmdlet 'Microsoft.Dism.Commands.AddWindowsCapabilityCommand' $problem NotSpecified $Bound.Name
    }
    Edit-DoubleState {
        param($state)
        $state.capabilities.($Bound.Name) = 'Installed'
        if ($Bound.Name -like 'OpenSSH.Server*') {
            # The server comes stopped, with a rule that lets everybody in.
            $service = [pscustomobject]@{ DisplayName = 'OpenSSH SSH Server'; Status = 'Stopped'; StartType = 'Manual' }
            Set-DoubleValue $state.services 'sshd' $service
            Set-DoubleValue $state.firewall.rules 'OpenSSH-Server-In-TCP' ([pscustomobject][ordered]@{
                DisplayName = 'OpenSSH SSH Server (sshd)'; Description = 'Inbound rule for OpenSSH SSH Server (sshd)'
                DisplayGroup = 'OpenSSH Server'; Group = 'OpenSSH Server'; Enabled = 'True'; Profile = 'Any'; Direction = 'Inbound'
                Action = 'Allow'; EdgeTraversalPolicy = 'Block'; Owner = $null; Protocol = 'TCP'; LocalPort = @('22')
                RemotePort = @('Any'); LocalAddress = @('Any'); RemoteAddress = @('Any')
                Program = '%SystemRoot%\system32\OpenSSH\sshd.exe'; Service = 'Any'; InterfaceType = 'Any'; InterfaceAlias = @('Any'); IcmpType = @('Any') })
        }
    }
    New-DoubleObject 'Microsoft.Dism.Commands.ImageObject' ([ordered]@{ Path = ''; Online = $true; RestartNeeded = $false })
}
